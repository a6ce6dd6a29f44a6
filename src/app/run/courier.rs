//! Opening orders wait here until their journal entry is on disk; everything else never comes here.

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
}

impl Courier {
    pub fn start(writer: WriterHandle, venue: AsyncSender<Request>, events: AsyncSender<Event>) -> std::io::Result<Self> {
        let (orders, queue) = channel();
        let thread = std::thread::Builder::new().name("courier".into()).spawn(move || deliver(&queue, &writer, &venue, &events))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
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

fn deliver(queue: &Receiver<(Ticket, Request)>, writer: &WriterHandle, venue: &AsyncSender<Request>, events: &AsyncSender<Event>) {
    while let Ok((ticket, request)) = queue.recv() {
        if writer.wait(ticket, PATIENCE) && venue.blocking_send(request).is_ok() {
            continue;
        }
        // It never left, and that is certain: the engine hears it as a refusal.
        for id in request.places() {
            let message = "not sent: the data file did not keep it in time".to_owned();
            let refused = VenueEvent::Refused { id, reason: VenueRefusal::Other, message };
            let _ = events.blocking_send(Event::Venue(refused));
        }
    }
}
