//! Holding back questions to a source in trouble, so that the second answer comes at once.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Error, Trouble};

/// A question that met trouble gets the same answer again for this long, without being asked.
const QUESTION_HOLD: Duration = Duration::from_secs(2);
/// Questions remembered so; beyond it the oldest is forgotten.
const MAX_HELD_QUESTIONS: usize = 256;
/// So many different questions in a row must meet trouble before the source as a whole is held:
/// one path that an upstream cannot serve must not stop the others.
const TROUBLES_TO_HOLD: usize = 3;
/// The first hold of a source; each next one in a row is twice as long, up to the second figure.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// Whether the source as a whole seems to be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// This question met trouble: a 5xx, silence, a cut.
    Question,
    /// No connection: no question would do better.
    Source,
    /// The source asks to be left alone for a time.
    Pause(Duration),
}

/// The health of one source.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Different questions that met trouble since the last answer, at most `TROUBLES_TO_HOLD`.
    troubled: Vec<u64>,
    /// Holds in a row.
    holds: u32,
    /// The source is not asked before; then by one question each hold.
    held: Option<Held>,
    /// That one question is on its way.
    probed: bool,
    questions: VecDeque<(u64, Held)>,
}

impl State {
    fn answer(&self, question: u64, now: Instant) -> Option<Error> {
        let held = self.questions.iter().find(|(key, _)| *key == question);
        let held = held.and_then(|(_, held)| held.answer(now));
        held.or_else(|| self.held.as_ref()?.answer(now))
    }
}

#[derive(Debug, Clone)]
struct Held {
    until: Instant,
    error: Error,
}

impl Held {
    /// The answer of a held question, `None` when the hold is over.
    fn answer(&self, now: Instant) -> Option<Error> {
        let left = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let mut error = self.error.clone();
        if let Error::Unavailable { retry_after, .. } = &mut error {
            *retry_after = Some(left.max(retry_after.unwrap_or_default()));
        }
        Some(error)
    }
}

impl Breaker {
    /// Lets a question through, or answers as the source did a moment ago.
    ///
    /// When a hold is over, the first question probes the source and the others wait for one more
    /// hold, or for the probe's success: a probe may be slow, or its future dropped.
    pub(crate) fn admit(&self, question: u64, now: Instant) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(error) = state.answer(question, now) {
            return Err(error);
        }
        let holds = state.holds;
        let Some(held) = &mut state.held else { return Ok(()) };
        held.until = now + hold(holds);
        state.probed = true;
        Ok(())
    }

    /// The answer of a held question or source; unlike [`admit`](Self::admit) it makes nobody the probe.
    pub(crate) fn held(&self, question: u64, now: Instant) -> Option<Error> {
        self.lock().answer(question, now)
    }

    /// The source answered, whatever it said. Returns whether it was held before.
    pub(crate) fn answered(&self, question: u64) -> bool {
        let mut state = self.lock();
        state.troubled.clear();
        state.holds = 0;
        state.probed = false;
        state.questions.retain(|(key, _)| *key != question);
        state.held.take().is_some()
    }

    /// The question met trouble. Returns whether the source is held from now on.
    pub(crate) fn troubled(
        &self,
        question: u64,
        blame: Blame,
        error: &Error,
        now: Instant,
    ) -> bool {
        let mut state = self.lock();
        let held = Held { until: now + QUESTION_HOLD, error: error.clone() };
        state.questions.retain(|(key, held)| *key != question && held.until > now);
        if state.questions.len() >= MAX_HELD_QUESTIONS {
            state.questions.pop_front();
        }
        state.questions.push_back((question, held));
        if !state.troubled.contains(&question) && state.troubled.len() < TROUBLES_TO_HOLD {
            state.troubled.push(question);
        }
        let was_held = state.held.is_some();
        let length = match blame {
            Blame::Pause(asked) => asked.min(LONGEST_HOLD),
            Blame::Question if !was_held && state.troubled.len() < TROUBLES_TO_HOLD => {
                return false;
            }
            Blame::Question | Blame::Source => hold(state.holds),
        };
        // Questions that were on their way together count as one trouble, not as many.
        let over = state.held.as_ref().is_none_or(|held| held.until <= now);
        if over || state.probed || matches!(blame, Blame::Pause(_)) {
            state.held = Some(Held { until: now + length, error: error.clone() });
            state.holds = state.holds.saturating_add(1);
            state.probed = false;
        }
        !was_held
    }

    /// Why the source is held, if it is.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.lock().held.as_ref()?.error {
            Error::Unavailable { reason, kind, .. } => Some(match kind {
                Trouble::Timeout => format!("timeout: {reason}"),
                Trouble::Overloaded
                | Trouble::Broken
                | Trouble::Barred
                | Trouble::Hidden
                | Trouble::Own => reason.clone(),
            }),
            error => Some(error.to_string()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hold(holds: u32) -> Duration {
    FIRST_HOLD.saturating_mul(2_u32.saturating_pow(holds.min(16))).min(LONGEST_HOLD)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test starts from the present")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::Instant;

    use super::{Blame, Breaker, LONGEST_HOLD, MAX_HELD_QUESTIONS, QUESTION_HOLD};
    use crate::{Error, Origin, Trouble};

    const SECOND: Duration = Duration::from_secs(1);

    fn error() -> Error {
        let origin = Origin(Arc::from("mirror"));
        let reason = "connection refused".to_owned();
        Error::Unavailable { origin, kind: Trouble::Broken, reason, retry_after: None }
    }

    #[test]
    fn one_question_in_trouble_holds_itself_only() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            assert!(!breaker.troubled(1, Blame::Question, &error(), now));
        }
        assert!(breaker.admit(1, now).is_err());
        assert!(breaker.admit(1, now + QUESTION_HOLD).is_ok());
        assert!(breaker.admit(2, now).is_ok());
        assert!(breaker.reason().is_none());
        breaker.answered(1);
        assert!(breaker.admit(1, now).is_ok());
    }

    #[test]
    fn three_different_questions_in_a_row_hold_the_source() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!(!breaker.troubled(1, Blame::Question, &error(), now));
        assert!(!breaker.troubled(2, Blame::Question, &error(), now));
        breaker.answered(9);
        assert!(!breaker.troubled(3, Blame::Question, &error(), now));
        assert!(!breaker.troubled(4, Blame::Question, &error(), now));
        assert!(breaker.troubled(5, Blame::Question, &error(), now));
        let error = breaker.admit(6, now).unwrap_err();
        let Error::Unavailable { retry_after, .. } = error else { panic!("{error:?}") };
        assert_eq!(retry_after, Some(SECOND));
        assert_eq!(breaker.reason().as_deref(), Some("connection refused"));
    }

    #[test]
    fn no_connection_holds_at_once_and_longer_each_time() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for (question, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            breaker.troubled(question as u64, Blame::Source, &error(), now);
            let almost = now + SECOND * seconds - Duration::from_millis(1);
            assert!(breaker.admit(99, almost).is_err(), "{seconds}");
            now += SECOND * seconds;
            assert!(breaker.admit(99, now).is_ok(), "{seconds}");
            assert!(breaker.admit(98, now).is_err(), "only one probe");
        }
        assert!(breaker.answered(99));
        assert!(breaker.admit(98, now).is_ok());
        breaker.troubled(1, Blame::Source, &error(), now);
        assert!(breaker.admit(98, now + SECOND).is_ok(), "an answer begins anew");
    }

    #[test]
    fn a_probe_that_never_ends_is_followed_by_another() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.troubled(1, Blame::Source, &error(), now);
        assert!(breaker.admit(2, now + SECOND).is_ok());
        assert!(breaker.admit(3, now + SECOND * 2).is_err());
        assert!(breaker.admit(3, now + SECOND * 3).is_ok());
    }

    #[test]
    fn questions_that_failed_together_count_once() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for question in 0..50 {
            breaker.troubled(question, Blame::Source, &error(), now);
        }
        assert!(breaker.admit(99, now + SECOND * 4).is_ok());
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_bounds() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.troubled(1, Blame::Pause(SECOND * 5), &error(), now);
        assert!(breaker.admit(2, now + SECOND * 4).is_err());
        assert!(breaker.admit(2, now + SECOND * 5).is_ok());
        let breaker = Breaker::default();
        breaker.troubled(1, Blame::Pause(SECOND * 5000), &error(), now);
        assert!(breaker.admit(2, now + LONGEST_HOLD).is_ok());
    }

    #[test]
    fn held_questions_are_bounded() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for question in 0..=MAX_HELD_QUESTIONS as u64 {
            breaker.troubled(question, Blame::Question, &error(), now);
        }
        assert_eq!(breaker.lock().questions.len(), MAX_HELD_QUESTIONS);
    }
}
