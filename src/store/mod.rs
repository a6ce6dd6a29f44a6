//! The one data file: everything that must survive is written here, durable before anyone relies on it, and checked when read.
//!
//! *Takes*: journal entries and `protocol::Record`s from the engine's driver, candles, models and runs from commands.
//! *Gives*: the same back, a consistent copy at any moment, and a report of what a file holds and whether it is sound.
//!
//! Start at `file` (open and its refusals), `schema` (tables, keys, the seal on rows), `journal` (chained blocks) and `writer`
//! (the thread). `captures` keeps recorded market data, `retention` says what may go. `verify` recomputes what must be true of a
//! file; `pages` has every page checksum checked without touching it.
//!
//! Invariants
//! 1. A reached ticket is on disk, with everything before it (`writer::tests::a_reached_ticket_means_the_entries_survive_a_crash`).
//! 2. A crash leaves a prefix: events and the records they caused, together (`crash::tests::every_cut_leaves_a_prefix`).
//! 3. A changed byte is an error or a report, never another value (`verify::tests::no_damage_is_silently_fine`,
//!    `journal::tests::one_flipped_bit_anywhere_in_a_block_is_found`, `reading::tests::a_changed_weight_is_found_and_the_remedy_named`).
//! 4. Applying a record twice changes nothing (`records::tests::applying_everything_twice_changes_nothing`).
//! 5. Demo and real data, or two live accounts, never share a file (`file::tests::demo_and_real_never_share_a_file`,
//!    `file::tests::a_live_file_serves_one_account_and_paper_beside_it`); orders of different scopes never meet
//!    (`records::tests::paper_and_live_keep_their_orders_apart`).
//! 6. A broken disk is a state, not a panic or a hang (`writer::tests::a_full_disk_is_told_once_and_for_all_and_nobody_hangs`).
//! 7. What a newer program wrote is refused, never misread (`codec::tests::a_record_from_a_newer_program_is_refused_and_says_so`,
//!    `file::tests::a_file_from_a_newer_program_is_refused`).
//! 8. What is recorded comes back as it was (`recording::tests::anything_recorded_round_trips`); retention takes the oldest first and a
//!    journal it cut stays a checked chain that tells what it lost (`retention::tests::a_cut_journal_is_sound_tells_what_it_lost_and_grows_on`).
//! 9. Candles and the word of where they came from are one transaction, and no stretch has two origins
//!    (`history::tests::spans_say_what_a_list_of_minutes_would_say`, `history::tests::another_exchange_gives_way_with_all_its_candles`).
//!
//! *Never*: let a type of the file layer escape; interpret a record beyond its key; read a clock for anything that is stored.

#[cfg(test)]
mod backends;
mod backup;
mod bulk;
mod candles;
mod captures;
mod codec;
#[cfg(test)]
mod crash;
mod error;
mod file;
mod history;
mod identity;
mod journal;
mod pages;
mod reading;
mod recording;
mod records;
mod retention;
#[cfg(test)]
mod samples;
mod schema;
mod verify;
mod writer;

pub use bulk::Bulk;
pub use candles::CandleSeries;
pub use captures::{CaptureId, CaptureSeries, CapturedUpdates};
pub use codec::{CodecError, decode, encode};
pub use error::{JournalFault, StoreError, snapshot_path};
pub use file::{ReadSource, Store};
pub use identity::{FileKind, Identity, Scope};
pub use journal::{JournalEntry, JournalReader};
pub use reading::content_id;
pub use recording::{CaptureBlock, is_recorded};
pub use retention::{JournalCut, OldBlocks};
pub use verify::{Check, VerifyReport, verify};
pub use writer::{QUIET_COMMIT, Ticket, Writer, WriterError, WriterHandle, WriterStatus};
