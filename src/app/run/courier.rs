//! Opening orders wait here until their journal entry is on disk; everything else never comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::Sender as AsyncSender;

use crate::protocol::{Event, Request, VenueEvent, VenueRefusal};
use crate::store::{Ticket, WriterHandle};

/// An order that could not be kept within this time is not sent at all.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Courier {
    orders: Option<Sender<(Ticket, Request)>>,
    thread: Option<JoinHandle<()>>,
    open: Arc<AtomicBool>,
}

impl Courier {
    pub fn start(writer: WriterHandle, venue: AsyncSender<Request>, events: AsyncSender<Event>) -> std::io::Result<Self> {
        let (orders, queue) = channel();
        let open = Arc::new(AtomicBool::new(true));
        let door = Arc::clone(&open);
        let thread = std::thread::Builder::new().name("courier".into()).spawn(move || deliver(&queue, &writer, &venue, &events, &door))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), open })
    }

    /// While false, nothing that waits for the disk leaves any more.
    pub fn may_open(&self, may: bool) {
        self.open.store(may, Ordering::SeqCst);
    }

    pub fn send(&self, ticket: Ticket, request: Request) {
        if let Some(orders) = &self.orders {
            // The thread ends only after this end is dropped.
            let _ = orders.send((ticket, request));
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn deliver(
    queue: &Receiver<(Ticket, Request)>,
    writer: &WriterHandle,
    venue: &AsyncSender<Request>,
    events: &AsyncSender<Event>,
    open: &AtomicBool,
) {
    while let Ok((ticket, request)) = queue.recv() {
        let kept = writer.wait(ticket, PATIENCE);
        // Halted while it waited: it stays here.
        let may = open.load(Ordering::SeqCst);
        if kept && may && venue.blocking_send(request).is_ok() {
            continue;
        }
        // It never left, and that is certain: the engine hears it as a refusal.
        for id in request.places() {
            let (reason, message) = if kept && !may {
                (VenueRefusal::NotAttempted, "not sent: trading was halted meanwhile")
            } else {
                (VenueRefusal::Other, "not sent: the data file did not keep it in time")
            };
            let refused = VenueEvent::Refused { id, reason, message: message.to_owned() };
            let _ = events.blocking_send(Event::Venue(refused));
        }
    }
}
