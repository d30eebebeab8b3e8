//! Which phase a request is in, and a limit for each.
//!
//! reqwest knows one limit for a whole connection. To tell resolve, connect, TLS and first byte
//! apart, the parts that do the work (resolver, connector, TLS session store) note where a request
//! stands, in a task-local that [`watch`] sets and reads.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

/// Where a request stands before its header is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Resolve,
    Connect,
    Tls,
    FirstByte,
}

/// The longest stay in each phase, and the end of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
    pub(crate) tls: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
struct Progress(Mutex<(Phase, Instant)>);

impl Progress {
    fn set(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    fn get(&self) -> (Phase, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    /// When the phase that began at `since` has lasted too long, and its name.
    fn end(&self, (phase, since): (Phase, Instant)) -> (Instant, &'static str) {
        let (limit, name) = match phase {
            Phase::Resolve => (self.resolve, "resolve"),
            Phase::Connect => (self.connect, "connect"),
            Phase::Tls => (self.tls, "tls"),
            Phase::FirstByte => (self.first_byte, "first byte"),
        };
        match since.checked_add(limit) {
            Some(end) if end < self.deadline => (end, name),
            _ => (self.deadline, "whole"),
        }
    }
}

/// Notes that the request being polled has entered `phase`; outside of a request, nothing.
pub(crate) fn enter(phase: Phase) {
    let _outside = PROGRESS.try_with(|progress| progress.set(phase));
}

/// Runs a request until its header is here.
///
/// # Errors
///
/// The name of the phase whose limit ran out. The request is dropped then.
pub(crate) async fn watch<F: Future>(
    limits: Limits,
    request: F,
) -> Result<F::Output, &'static str> {
    let progress = Arc::new(Progress(Mutex::new((Phase::FirstByte, Instant::now()))));
    let mut request = pin!(PROGRESS.scope(Arc::clone(&progress), request));
    let (first, _) = limits.end(progress.get());
    let mut timer = pin!(sleep_until(first));
    poll_fn(|cx| {
        if let Poll::Ready(output) = request.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // The phase may have changed in that poll, or in another task since.
        loop {
            let (end, name) = limits.end(progress.get());
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if limits.end(progress.get()).0 == end {
                return Poll::Ready(Err(name));
            }
        }
    })
    .await
}

/// Wraps reqwest's connector so that its work is noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted<S = ()>(S);

impl Noted {
    pub(crate) fn layer() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for Noted {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted(inner)
    }
}

impl<R, S: Service<R>> Service<R> for Noted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Connecting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        enter(Phase::Connect);
        let progress = PROGRESS.try_with(Arc::clone).ok();
        Connecting { inner: Box::pin(self.0.call(request)), progress }
    }
}

/// A connection being made.
pub(crate) struct Connecting<F> {
    inner: Pin<Box<F>>,
    progress: Option<Arc<Progress>>,
}

impl<F: Future> Future for Connecting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let outcome = self.inner.as_mut().poll(cx);
        // When another connection came free first, the pool finishes this one in a task of its
        // own; the request is then waiting for its first byte, whatever this connection does.
        if (outcome.is_ready() || PROGRESS.try_with(|_| ()).is_err())
            && let Some(progress) = self.progress.take()
        {
            progress.set(Phase::FirstByte);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::{Instant, sleep};

    use super::{Limits, Phase, enter, watch};

    fn limits(whole: u64) -> Limits {
        let millis = Duration::from_millis;
        Limits {
            resolve: millis(10),
            connect: millis(20),
            tls: millis(30),
            first_byte: millis(200),
            deadline: Instant::now() + millis(whole),
        }
    }

    #[tokio::test]
    async fn each_phase_has_its_own_limit_and_name() {
        let cases = [
            (Phase::Resolve, "resolve"),
            (Phase::Connect, "connect"),
            (Phase::Tls, "tls"),
            (Phase::FirstByte, "first byte"),
        ];
        for (phase, name) in cases {
            let request = async {
                enter(phase);
                pending::<()>().await;
            };
            assert_eq!(watch(limits(5_000), request).await, Err(name));
        }
    }

    #[tokio::test]
    async fn a_new_phase_begins_a_new_limit() {
        let request = async {
            for phase in [Phase::Resolve, Phase::Connect, Phase::Tls] {
                enter(phase);
                sleep(Duration::from_millis(6)).await;
            }
            enter(Phase::FirstByte);
            sleep(Duration::from_millis(60)).await;
            7
        };
        assert_eq!(watch(limits(5_000), request).await, Ok(7));
    }

    #[tokio::test]
    async fn the_whole_limit_cuts_every_phase_short() {
        assert_eq!(watch(limits(5), pending::<()>()).await, Err("whole"));
    }
}
