//! Sessions of the WebSocket API: logging on with an Ed25519 key, and subscribing to the user data stream with or without.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::auth::check_time;
use super::door::locked;
use super::params::Params;
use super::refusal::ApiError;
use super::wire::json as text;
use super::ws_api::Caller;
use crate::domain::Timestamp;

/// Who is logged on at a connection.
#[derive(Default)]
pub(super) struct Session {
    logon: Option<Logon>,
    /// The user data subscription that belongs to the logon.
    subscription: Option<u32>,
}

struct Logon {
    api_key: String,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Logon,
    Status,
    Logout,
    Subscriptions,
    /// With the key that is logged on.
    Subscribe,
    SubscribeSigned,
    Unsubscribe,
}

impl Ask {
    pub fn find(method: &str) -> Option<Self> {
        Some(match method {
            "session.logon" => Self::Logon,
            "session.status" => Self::Status,
            "session.logout" => Self::Logout,
            "session.subscriptions" => Self::Subscriptions,
            "userDataStream.subscribe" => Self::Subscribe,
            "userDataStream.subscribe.signature" => Self::SubscribeSigned,
            "userDataStream.unsubscribe" => Self::Unsubscribe,
            _ => return None,
        })
    }
}

/// A signed request; a logged-on one needs neither key nor signature, but a timestamp.
pub(super) fn check(caller: &Caller, sent: &[(String, String)], params: &Params) -> Result<(), ApiError> {
    let logged_on = locked(&caller.session).logon.is_some();
    if logged_on && params.get("signature").is_none() {
        return check_time(params, caller.door.clock.now());
    }
    caller.door.keys.check_message(sent, params, caller.door.clock.now()).map(|_key| ())
}

pub(super) async fn answer(caller: &Caller, ask: Ask, sent: &[(String, String)], params: &Params) -> Result<String, ApiError> {
    match ask {
        Ask::Logon => {
            let now = caller.door.clock.now();
            let api_key = caller.door.keys.check_message(sent, params, now)?;
            if !caller.door.keys.may_log_on(&api_key) {
                return Err(ApiError::KeyUnknown);
            }
            locked(&caller.session).logon = Some(Logon { api_key, since: now });
            Ok(text(&status(caller)))
        }
        Ask::Status => Ok(text(&status(caller))),
        Ask::Logout => {
            let subscription = {
                let mut session = locked(&caller.session);
                session.logon = None;
                session.subscription.take()
            };
            if let Some(number) = subscription {
                unsubscribe(caller, Some(number)).await?;
            }
            Ok(text(&status(caller)))
        }
        Ask::Subscriptions => {
            let connection = caller.connection;
            let number = caller.door.floor.run(move |hall| hall.fanout.user_of(connection)).await?;
            Ok(text(&number.iter().map(|number| json!({"subscriptionId": number})).collect::<Vec<_>>()))
        }
        Ask::Subscribe => {
            if locked(&caller.session).logon.is_none() {
                return Err(ApiError::KeyUnknown);
            }
            let number = subscribe(caller).await?;
            locked(&caller.session).subscription = Some(number);
            Ok(text(&json!({"subscriptionId": number})))
        }
        Ask::SubscribeSigned => {
            caller.door.keys.check_message(sent, params, caller.door.clock.now())?;
            Ok(text(&json!({"subscriptionId": subscribe(caller).await?})))
        }
        Ask::Unsubscribe => {
            let number = params.integer("subscriptionId")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            if unsubscribe(caller, number).await? { Ok("{}".to_owned()) } else { Err(ApiError::NotSubscribed) }
        }
    }
}

async fn subscribe(caller: &Caller) -> Result<u32, ApiError> {
    let connection = caller.connection;
    let number = caller.door.floor.run(move |hall| hall.fanout.subscribe_user(connection)).await?;
    caller.seen.user.store(true, Ordering::Relaxed);
    number.ok_or(ApiError::AlreadySubscribed)
}

async fn unsubscribe(caller: &Caller, number: Option<u32>) -> Result<bool, ApiError> {
    let connection = caller.connection;
    caller.door.floor.run(move |hall| hall.fanout.unsubscribe_user(connection, number)).await
}

fn status(caller: &Caller) -> Value {
    let now = caller.door.clock.now();
    let session = locked(&caller.session);
    json!({
        "apiKey": session.logon.as_ref().map(|logon| logon.api_key.clone()),
        "authorizedSince": session.logon.as_ref().map(|logon| logon.since.millis()),
        "connectedSince": caller.connected_at.millis(),
        "returnRateLimits": caller.limits,
        "serverTime": now.millis(),
        "userDataStream": caller.seen.user.load(Ordering::Relaxed),
    })
}
