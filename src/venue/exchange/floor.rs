//! The one thread that owns the exchange. Requests come as jobs; between them it lets the market move.
//!
//! What a batch of jobs changed is saved before any of them is answered, and before its user data events go out.
//! When saving fails the callers learn that the outcome is unknown, which is the truth.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hall::Hall;
use super::refusal::ApiError;

/// Jobs that may wait; beyond, the exchange says that it is overloaded.
const JOBS_WAITING: usize = 1_024;
/// Jobs answered together after one save.
const BATCH: usize = 64;
/// How often the market moves.
const PUMP_EVERY: Duration = Duration::from_millis(25);

/// Does its work and gives back how to answer, which happens once the state is safe; dropped unanswered when it is not.
type Job = Box<dyn FnOnce(&mut Hall) -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

/// The handle that requests use.
#[derive(Clone)]
pub(super) struct Floor {
    jobs: SyncSender<Job>,
}

impl Floor {
    /// Starts the thread; it ends when the hall is closing or the last handle is gone.
    pub fn start(hall: Hall) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = sync_channel(JOBS_WAITING);
        let thread = thread::Builder::new().name("exchange".into()).spawn(move || work(hall, &waiting))?;
        Ok((Self { jobs }, thread))
    }

    /// Runs `job` and gives its result once everything it changed is safe.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut Hall) -> T + Send + 'static) -> Result<T, ApiError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |hall| {
            let result = job(hall);
            Box::new(move || {
                // The caller may have gone away; what it asked for is done all the same.
                drop(answer.send(result));
            })
        });
        self.jobs.try_send(job).map_err(|_| ApiError::Overloaded)?;
        answered.await.map_err(|_| ApiError::Unknown)
    }
}

fn work(mut hall: Hall, jobs: &Receiver<Job>) {
    let mut next_pump = Instant::now();
    loop {
        let mut answers: Vec<Answer> = Vec::new();
        match jobs.recv_timeout(next_pump.saturating_duration_since(Instant::now())) {
            Ok(job) => answers.push(job(&mut hall)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while !answers.is_empty() && answers.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) => answers.push(job(&mut hall)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if Instant::now() >= next_pump {
            hall.pump();
            next_pump = Instant::now() + PUMP_EVERY;
        }
        match hall.settle() {
            Ok(()) => {
                answers.into_iter().for_each(|answer| answer());
                if hall.closing {
                    return;
                }
            }
            Err(error) if hall.closing => {
                tracing::error!(%error, "the exchange closes with unsaved changes");
                return;
            }
            Err(error) => tracing::error!(%error, "the exchange's state could not be saved; requests stay unanswered"),
        }
    }
}
