//! The stages between a forecast and an order: costs, ledger, decision, risk, execution.
//!
//! *Takes / gives*: evidence and fills in; intents, approvals, order requests, postings and closed trades out. Reads in this order:
//! `decision` (what do we want) > `risk` (may we) > `execution` (how) > `ledger` (what happened) > `costs` (what it cost).
//!
//! Invariants
//! 1. No opening order without `risk::Approved` (by type, and `tests/it/tidy/approval.rs::only_an_approval_opens`).
//! 2. Debits equal credits per asset (`ledger::tests::debits_equal_credits`).
//! 3. gross - fees - spread - slippage - impact = net, to the last unit (`costs::breakdown::tests::the_identity_holds_to_the_last_unit`).
//! 4. Only the venue's word ends an order (`execution::order::tests`).
//!
//! *Never*: a clock, a socket, a market's wire format.

pub mod costs;
pub mod currency;
pub mod decision;
pub mod execution;
pub mod ledger;
pub mod risk;
