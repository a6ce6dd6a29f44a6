//! `huracan data`: candles in, out, and looked after.

mod captures;
mod export;
mod fetch;
mod gap_list;
mod import;
mod repair;
mod stored;
mod trades;

pub use trades::TradeBars;

use crate::app::Context;
use crate::app::cli::DataCommand;
use crate::app::failure::Outcome;

pub fn data(context: &Context, command: DataCommand) -> Outcome {
    match command {
        DataCommand::Import { files, symbol, interval, instrument } => {
            import::import(context, &import::Wanted { files, symbol, interval, instrument })
        }
        DataCommand::Fetch { symbol, interval, since, until, source, trades, venue } => {
            fetch::fetch(context, &fetch::Wanted { symbols: symbol, interval, since, until, source, trades, venue })
        }
        DataCommand::Repair { symbol, interval, source, venue } => {
            repair::repair(context, &repair::Wanted { symbols: symbol, interval, source, venue })
        }
        DataCommand::List => stored::list(context),
        DataCommand::Check => stored::check(context),
        DataCommand::Captures { out, symbol, since } => captures::captures(context, &captures::Wanted { out, symbols: symbol, since }),
        DataCommand::Export { out } => export::export(context, &out),
    }
}
