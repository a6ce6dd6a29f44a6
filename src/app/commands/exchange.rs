//! `huracan exchange`: the simulated exchange as a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::data::TradeBars;
use crate::app::Context;
use crate::app::cli::ExchangeArgs;
use crate::app::clock;
use crate::app::failure::{Failure, Outcome};
use crate::domain::{Asset, Instrument, Interval, Qty, Span, Symbol};
use crate::market::merge_by_local_time;
use crate::matching::flow::FlowConfig;
use crate::venue::capture::CaptureReader;
use crate::venue::exchange::{
    DoorRules, ExchangeServer, FaultRule, MarketSource, PublicKey, Recording, Running, ServerConfig, StatePersistence,
};
use crate::venue::infer_instrument;

/// What a program needs to trade there.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    rest: &'a str,
    ws: &'a str,
    ws_api: &'a str,
    api_key: &'a str,
    api_secret: &'a str,
    /// API keys that belong to the public keys given, in their order.
    public_api_keys: &'a [String],
}

/// Runs until the process is asked to end.
pub fn exchange(context: &Context, args: ExchangeArgs) -> Outcome {
    let logged = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(&context.config.log.level).try_init();
    logged.map_err(|error| Failure::failed(format!("cannot start the log: {error}")))?;
    let config = server_config(context, args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        // Before the exchange says that it is ready, so that no request to end is missed.
        let ending = Ending::new()?;
        let running = ExchangeServer::start(config).await?;
        announce(context, &running)?;
        ending.wait().await;
        running.stop().await;
        Ok(())
    })
}

fn announce(context: &Context, running: &Running) -> Outcome {
    let Running { rest, ws, ws_api, api_key, api_secret, public_api_keys, .. } = running;
    context.out.answer(&Ready { rest, ws, ws_api, api_key, api_secret, public_api_keys }, || {
        let venue = &context.config.venue;
        let public: String = public_api_keys.iter().map(|key| format!("public key  {key}\n")).collect();
        format!(
            "rest        {rest}\nws          {ws}\nws_api      {ws_api}\napi_key     {api_key}\napi_secret  {api_secret}\n{public}\
             export {}={api_key}\nexport {}={api_secret}",
            venue.api_key_env, venue.api_secret_env
        )
    })
}

fn server_config(context: &Context, args: ExchangeArgs) -> Outcome<ServerConfig> {
    let config = &context.config;
    let seed = args.seed.unwrap_or(config.demo.seed);
    let (market, balances) = if args.replay.is_empty() {
        // There is history to learn from before the market begins to be watched; a kept state knows where its market began.
        let days = i64::from(config.demo.history_days) + 1;
        let origin = clock::now() - Span::from_secs(days * 86_400);
        let mut flow = FlowConfig { edge: config.demo.edge, ..FlowConfig::usual(seed, origin) };
        flow.symbols.iter_mut().for_each(|s| s.instrument.fees = config.fees());
        (MarketSource::Synthetic(flow), ServerConfig::usual_balances())
    } else {
        let instruments = instruments(context, &args.replay)?;
        let mut quotes: Vec<Asset> = instruments.iter().map(|i| i.quote).collect();
        quotes.dedup();
        let capital: Qty = config.paper.capital.to_quote();
        (
            MarketSource::Replay { recording: recording(&args.replay)?, instruments },
            quotes.into_iter().map(|quote| (quote, capital)).collect(),
        )
    };
    Ok(ServerConfig {
        listen: args.listen,
        market,
        state: args.state.map_or(StatePersistence::Volatile, StatePersistence::File),
        skew: Span::from_millis(args.skew_ms),
        balances,
        seed,
        speed: args.speed,
        doors: DoorRules {
            faults: faults(args.faults.as_deref())?,
            public_keys: args.public_key.iter().map(|path| public_key(path)).collect::<Outcome<_>>()?,
            strict: args.strict,
            ..DoorRules::default()
        },
    })
}

/// A key of the account beside its HMAC pair.
fn public_key(path: &Path) -> Outcome<PublicKey> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    PublicKey::from_pem(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// What shall go wrong.
fn faults(path: Option<&Path>) -> Outcome<Vec<FaultRule>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    FaultRule::parse(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::usage(format!("{}: {error}{cause}", path.display()))
    })
}

/// The captures as one stream; lines that cannot be read are left out, and logged.
fn recording(paths: &[PathBuf]) -> Outcome<Recording> {
    let readers = paths.iter().map(CaptureReader::open).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(merge_by_local_time(readers).filter_map(|item| item.map_err(|fault| tracing::warn!(%fault, "a line is left out")).ok())))
}

/// The captured markets with rules inferred from one-second bars of their trades.
fn instruments(context: &Context, paths: &[PathBuf]) -> Outcome<Vec<Instrument>> {
    let second = Interval::from_secs(1).unwrap_or(Interval::MINUTE);
    let mut bars: BTreeMap<Symbol, TradeBars> = BTreeMap::new();
    for update in recording(paths)? {
        bars.entry(update.symbol).or_insert_with(|| TradeBars::new(second)).take(&update);
    }
    if bars.is_empty() {
        return Err(Failure::failed("the captures hold no market data"));
    }
    let inferred = bars.into_iter().map(|(symbol, bars)| {
        let (instrument, notes) = infer_instrument(symbol, &bars.finish().0, context.config.fees());
        notes.iter().for_each(|note| context.out.remark(&format!("{symbol}: {note}")));
        instrument
    });
    Ok(inferred.collect())
}

/// Ctrl-C, or the system's request to end.
struct Ending {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Ending {
    fn new() -> Outcome<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
