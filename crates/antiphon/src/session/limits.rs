//! Limits of calls: what configured names say, and what holds where they say nothing.
//!
//! A job wants every answer and has time. Behind a gateway somebody waits for each call, so its limits are shorter, and
//! shorter still where another model of a chain can answer instead. `docs/failover.md` is their table.

use std::time::Duration;

use antiphon_core::{
    layers::{
        admit::AccountConfig, coalesce::CoalesceConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
    patterns::RescueMode,
    stack::StackConfig,
};
use antiphon_providers::EndpointConfig;

use super::Session;
use crate::config::ModelConfig;

/// Retries of a model in a chain where nothing is said and another model remains: its turn comes soon.
const RETRIES_BEFORE_FALLBACK: u32 = 3;
/// How long a caller is kept waiting beside the attempts where another model remains...
const PATIENCE_BEFORE_FALLBACK: Duration = Duration::from_secs(5);
/// ...and where none does. OpenAI's clients obey no longer `Retry-After` either.
const PATIENCE: Duration = Duration::from_secs(60);
/// An attempt at a whole answer, where another model remains.
const WHOLE_BEFORE_FALLBACK: Duration = Duration::from_secs(60);
/// From the head of a stream to its first event, where another model remains and where none does.
const FIRST_TOKEN_BEFORE_FALLBACK: Duration = Duration::from_secs(10);
const FIRST_TOKEN: Duration = Duration::from_secs(120);
/// For callers: until the head of a stream, and between its pieces.
const HEADERS: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(30);
/// Retries after a time limit has run out, where no other model remains.
const SLOW_RETRIES: u32 = 1;

/// Limits that a model takes from the name that it was reached by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CallLimits {
    /// Until the connection of an attempt stands.
    connect_timeout: Option<Duration>,
    /// Until the head of a streamed answer.
    headers_timeout: Option<Duration>,
    /// From there to its first event.
    first_token_timeout: Option<Duration>,
    /// Between two pieces of an answer.
    idle_timeout: Option<Duration>,
    /// One attempt.
    timeout: Option<Duration>,
    /// Retries of a call.
    max_retries: Option<u32>,
    /// What becomes of streams that break, of a chain and of the chains that it is made of.
    pub(super) rescue: Option<RescueMode>,
    /// Another model answers if this one does not.
    another_remains: bool,
}

impl CallLimits {
    /// What the name says of its own.
    pub(super) fn of(model: &ModelConfig) -> Self {
        Self {
            connect_timeout: model.connect_timeout,
            headers_timeout: model.headers_timeout,
            first_token_timeout: model.first_token_timeout,
            idle_timeout: model.idle_timeout,
            timeout: model.timeout,
            max_retries: model.max_retries,
            rescue: None,
            another_remains: false,
        }
    }

    /// These, and where they say nothing the others.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            connect_timeout: self.connect_timeout.or(others.connect_timeout),
            headers_timeout: self.headers_timeout.or(others.headers_timeout),
            first_token_timeout: self.first_token_timeout.or(others.first_token_timeout),
            idle_timeout: self.idle_timeout.or(others.idle_timeout),
            timeout: self.timeout.or(others.timeout),
            max_retries: self.max_retries.or(others.max_retries),
            rescue: self.rescue.or(others.rescue),
            another_remains: self.another_remains || others.another_remains,
        }
    }

    /// The same with what becomes of streams that break, where that is said.
    pub(super) fn with_rescue(self, rescue: Option<RescueMode>) -> Self {
        let rescue = rescue.or(self.rescue);
        Self { rescue, ..self }
    }

    /// The same for a link of a chain that has another behind it.
    pub(super) fn with_another(self) -> Self {
        Self {
            max_retries: self.max_retries.or(Some(RETRIES_BEFORE_FALLBACK)),
            another_remains: true,
            ..self
        }
    }

    /// What the endpoint keeps: the limits of the transport, and how strictly it reads.
    pub(super) fn lay_on(&self, endpoint: &mut EndpointConfig, failover: bool) {
        endpoint.minds_content_type = failover && self.another_remains;
        endpoint.connect_timeout = self.connect_timeout;
        endpoint.idle_timeout = self.idle_timeout.or(failover.then_some(IDLE));
    }

    /// The limits of an attempt. Silence between the pieces of what comes over a wire is measured by the transport, which
    /// also hears what is no piece of the answer, such as a server's pings.
    fn timeouts(&self, failover: bool, over_wire: bool) -> TimeoutConfig {
        let usual = TimeoutConfig::default();
        let (mut timeout, idle) = if failover {
            let (total, first_token) = match self.another_remains {
                true => (WHOLE_BEFORE_FALLBACK, FIRST_TOKEN_BEFORE_FALLBACK),
                false => (usual.total, FIRST_TOKEN),
            };
            let timeout = TimeoutConfig {
                first_byte: HEADERS,
                first_token: Some(first_token),
                total,
                stream_total: Some(usual.total),
                leaves_room: self.another_remains,
                ..usual
            };
            (timeout, Some(self.idle_timeout.unwrap_or(IDLE)))
        } else {
            (usual, self.idle_timeout)
        };
        timeout.first_byte = self.headers_timeout.unwrap_or(timeout.first_byte);
        timeout.first_token = self.first_token_timeout.or(timeout.first_token);
        if let Some(total) = self.timeout {
            timeout.total = total;
            timeout.stream_total = None;
        }
        if let Some(idle) = idle {
            timeout.idle = match over_wire {
                true => timeout.longest(),
                false => idle,
            };
        }
        timeout
    }
}

impl Session {
    /// The layers of a model that is reached with these limits.
    pub(super) fn stack_config(
        &self,
        limits: CallLimits,
        target: &[String; 3],
        over_wire: bool,
    ) -> StackConfig {
        let options = &self.options;
        let limits = CallLimits {
            timeout: options.timeout.or(limits.timeout),
            ..limits
        };
        let mut config = StackConfig {
            coalesce: options.coalesce.then(CoalesceConfig::default),
            cache: self.cache_of(target),
            spend: self.spending(),
            drain: self.drain.clone(),
            timeout: limits.timeouts(options.failover, over_wire),
            ..StackConfig::default()
        };
        if let Some(cache) = &config.cache {
            config.coalesce = Some(cache.coalesce());
        }
        if options.failover {
            let patience = match limits.another_remains {
                true => PATIENCE_BEFORE_FALLBACK,
                false => self.longest_wait(),
            };
            config.patience = Some(patience);
            config.retry = RetryConfig {
                slow_retries: Some(if limits.another_remains {
                    0
                } else {
                    SLOW_RETRIES
                }),
                ..RetryConfig::for_callers(patience)
            };
        }
        let usual = options.usual_max_retries;
        let max_retries = options.max_retries.or(limits.max_retries).or(usual);
        if let Some(max_retries) = max_retries {
            config.retry.max_retries = max_retries;
        }
        config
    }

    /// What all accounts have in common.
    pub(super) fn usual_account(&self) -> AccountConfig {
        if self.options.failover {
            return AccountConfig::for_callers(self.longest_wait());
        }
        let usual = AccountConfig::default();
        AccountConfig {
            max_wait: self.options.max_wait.unwrap_or(usual.max_wait),
            ..usual
        }
    }

    /// How long a caller waits beside the attempts, where no other model remains.
    fn longest_wait(&self) -> Duration {
        self.options.max_wait.unwrap_or(PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shorter_where_another_model_remains() {
        let alone = CallLimits::default();
        let shown = |limits: &CallLimits, over_wire| {
            let limits = limits.timeouts(true, over_wire);
            let TimeoutConfig {
                first_byte,
                first_token,
                idle,
                total,
                stream_total,
                ..
            } = limits;
            let seconds = [
                Some(first_byte),
                first_token,
                Some(idle),
                Some(total),
                stream_total,
            ];
            seconds.map(|limit| limit.map_or(0, |limit| limit.as_secs()))
        };
        assert_eq!(shown(&alone, false), [30, 120, 30, 600, 600]);
        assert_eq!(shown(&alone.with_another(), false), [30, 10, 30, 60, 600]);
        assert_eq!(shown(&alone.with_another(), true), [30, 10, 600, 60, 600]);
        let told = CallLimits {
            timeout: Some(Duration::from_secs(7)),
            first_token_timeout: Some(Duration::from_secs(2)),
            ..alone
        };
        assert_eq!(shown(&told.with_another(), false), [30, 2, 30, 7, 0]);
    }

    #[test]
    fn where_nothing_is_said_jobs_keep_their_limits() {
        let limits = CallLimits::default().with_another();
        for over_wire in [true, false] {
            assert_eq!(limits.timeouts(false, over_wire), TimeoutConfig::default());
        }
    }
}
