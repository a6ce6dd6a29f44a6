//! How a connection ends when the client ends it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_is_answered() {
    let client = Client::synthetic(3).await;
    for path in ["/ws", "/ws/btcusdt@trade", "/stream?streams=btcusdt@trade", "/ws-api/v3"] {
        let mut socket = client.socket(path).await;
        socket.send(Message::Close(None)).await.unwrap();
        loop {
            let heard = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("silence").expect("closed");
            if matches!(heard.unwrap_or_else(|error| panic!("{path}: {error}")), Message::Close(_)) {
                break;
            }
        }
    }
    client.running.stop().await;
}
