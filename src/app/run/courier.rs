//! Opening orders wait here until their journal entry is on disk; everything else never comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender as AsyncSender;

use crate::protocol::{Event, Request, VenueEvent, VenueRefusal};
use crate::store::{Ticket, WriterHandle};

/// An order that could not be kept within this time of its hand-over is not sent at all, however long those before it took.
const PATIENCE: Duration = Duration::from_secs(5);

/// An opening order with the place of its journal entry, and when it came here.
struct Waiting<T> {
    asked: Instant,
    ticket: T,
    request: Request,
}

pub struct Courier {
    orders: Option<Sender<Waiting<Ticket>>>,
    thread: Option<JoinHandle<()>>,
    open: Arc<AtomicBool>,
}

impl Courier {
    pub fn start(writer: WriterHandle, venue: AsyncSender<Request>, events: AsyncSender<Event>) -> std::io::Result<Self> {
        let (orders, queue) = channel();
        let open = Arc::new(AtomicBool::new(true));
        let door = Arc::clone(&open);
        let thread = std::thread::Builder::new().name("courier".into()).spawn(move || {
            let kept = |ticket, limit| writer.wait(ticket, limit);
            deliver(&queue, kept, &venue, &events, &door);
        })?;
        Ok(Self { orders: Some(orders), thread: Some(thread), open })
    }

    /// While false, nothing that waits for the disk leaves any more.
    pub fn may_open(&self, may: bool) {
        self.open.store(may, Ordering::SeqCst);
    }

    pub fn send(&self, ticket: Ticket, request: Request) {
        if let Some(orders) = &self.orders {
            // The thread ends only after this end is dropped.
            let _ = orders.send(Waiting { asked: Instant::now(), ticket, request });
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

/// `kept` waits until a journal entry is on disk, for so long at most; false when it is not.
fn deliver<T>(
    queue: &Receiver<Waiting<T>>,
    kept: impl Fn(T, Duration) -> bool,
    venue: &AsyncSender<Request>,
    events: &AsyncSender<Event>,
    open: &AtomicBool,
) {
    while let Ok(Waiting { asked, ticket, request }) = queue.recv() {
        let kept = kept(ticket, PATIENCE.saturating_sub(asked.elapsed())) && asked.elapsed() <= PATIENCE;
        // Closed while it waited: it stays here.
        let may = open.load(Ordering::SeqCst);
        // A full queue is not waited for: the order would leave later than it was decided for.
        if kept && may && venue.try_send(request).is_ok() {
            continue;
        }
        // It never left, and that is certain: the engine hears it as a refusal.
        let (reason, message) = match (kept, may) {
            (true, false) => (VenueRefusal::NotAttempted, "not sent: nothing may be opened any more"),
            (true, true) => (VenueRefusal::Other, "not sent: the way to the venue is full or has ended"),
            (false, _) => (VenueRefusal::Other, "not sent: the data file did not keep it in time"),
        };
        for id in request.places() {
            let refused = VenueEvent::Refused { id, reason, message: message.to_owned() };
            let _ = events.blocking_send(Event::Venue(refused));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::domain::{ClientOrderId, NewOrder, OrderKind, RunId, Side};

    fn order(sequence: u64) -> Request {
        let id = ClientOrderId { run: RunId(7), sequence };
        let (symbol, qty) = ("BTCUSDT".parse().unwrap(), "1".parse().unwrap());
        Request::Place { order: NewOrder { id, symbol, side: Side::Buy, qty, kind: OrderKind::Market }, opening: true }
    }

    /// What left, and what was refused and why, of orders that were handed over so long ago. Tickets are the orders' numbers.
    fn delivered(ages: &[Duration], kept: impl Fn(u64, Duration) -> bool, may: bool) -> (Vec<u64>, Vec<(u64, VenueRefusal)>) {
        let (queue, waiting) = channel();
        for (age, ticket) in ages.iter().zip(1..) {
            queue.send(Waiting { asked: Instant::now().checked_sub(*age).unwrap(), ticket, request: order(ticket) }).unwrap();
        }
        drop(queue);
        let (venue, mut outbox) = tokio::sync::mpsc::channel(8);
        let (events, mut inbox) = tokio::sync::mpsc::channel(8);
        deliver(&waiting, kept, &venue, &events, &AtomicBool::new(may));
        let (mut sent, mut refused) = (Vec::new(), Vec::new());
        while let Ok(request) = outbox.try_recv() {
            sent.extend(request.places().iter().map(|id| id.sequence));
        }
        while let Ok(event) = inbox.try_recv() {
            let Event::Venue(VenueEvent::Refused { id, reason, .. }) = event else { panic!("{event:?}") };
            refused.push((id.sequence, reason));
        }
        (sent, refused)
    }

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn an_order_leaves_when_its_entry_is_on_disk() {
        assert_eq!(delivered(&[NOW, NOW], |_, _| true, true), (vec![1, 2], vec![]));
        assert_eq!(delivered(&[NOW, NOW], |ticket, _| ticket == 2, true), (vec![2], vec![(1, VenueRefusal::Other)]));
        assert_eq!(delivered(&[NOW], |_, _| true, false), (vec![], vec![(1, VenueRefusal::NotAttempted)]));
    }

    #[test]
    fn an_order_that_waited_behind_others_is_not_sent_after_its_time() {
        let late = PATIENCE + Duration::from_millis(1);
        let (sent, refused) = delivered(&[late, NOW], |_, _| true, true);
        assert_eq!((sent, refused), (vec![2], vec![(1, VenueRefusal::Other)]), "on disk by now, and too old");
    }

    #[test]
    fn the_time_that_a_stalled_disk_takes_counts_for_all_that_wait() {
        let limits = RefCell::new(Vec::new());
        let stalled = |ticket: u64, limit: Duration| {
            limits.borrow_mut().push(limit);
            // The writer comes back after the first order has been given up.
            std::thread::sleep(if ticket == 1 { limit } else { NOW });
            ticket > 1
        };
        let almost = PATIENCE - Duration::from_millis(100);
        let (sent, refused) = delivered(&[almost, almost, almost], stalled, true);
        assert!(sent.is_empty(), "{sent:?}");
        assert_eq!(refused, [1, 2, 3].map(|order| (order, VenueRefusal::Other)));
        assert!(limits.borrow()[1..].iter().all(Duration::is_zero), "{limits:?}");
    }
}
