//! Bodies on their way: a whole answer, or the deltas of a stream.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use antiphon_core::{
    Answer, ChatDelta, Clock, Error, ErrorKind, Moment,
    chat::{Delivery, DeltaStream, Fold},
};
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use http::HeaderMap;

use crate::{
    dialects::{Dialect, Progress, ResponseHead, StreamDecoder, classify_event},
    sse::{SseEvent, SseParser},
    transport::WireBody,
};

use super::secret::Secret;

/// How long usage and end marks are awaited once the answer is complete.
const TAIL: Duration = Duration::from_secs(2);

/// How long the end of the body is awaited after the end mark. It mostly comes with it, and a body read to its end gives
/// its connection back.
const LAST_BYTES: Duration = Duration::from_millis(100);

/// The head that a body belongs to: what its errors are told with.
pub(super) struct Origin {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) received: SystemTime,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) secret: Secret,
}

impl Origin {
    pub(super) fn head(&self) -> ResponseHead<'_> {
        ResponseHead {
            status: self.status,
            headers: &self.headers,
            received: self.received,
        }
    }

    /// Reads an answer that comes in one piece.
    pub(super) async fn whole(self, body: WireBody) -> Result<Answer, Error> {
        match body.collect().await {
            Ok(body) => self.decode(body),
            Err(error) => Err(error.with_request_id(self.head().request_id())),
        }
    }

    /// An answer is the provider's, whatever it says; an error is shown to people, without the key.
    fn decode(&self, body: Bytes) -> Result<Answer, Error> {
        let head = self.head();
        self.dialect.decode_whole(&head, body.clone()).or_else(|_| {
            let shown = self.secret.removed_from(&body);
            self.dialect.decode_whole(&head, shown)
        })
    }
}

/// A streamed answer that is being read.
pub(super) struct Reading {
    origin: Origin,
    body: WireBody,
    parser: SseParser,
    decoder: Box<dyn StreamDecoder>,
    waiting: VecDeque<SseEvent>,
    /// Bytes of events that gave no delta: they ride with the next.
    passed: BytesMut,
    clock: Arc<dyn Clock>,
    /// When to stop waiting for more, once the answer is complete.
    until: Option<Moment>,
    ended: bool,
}

impl Reading {
    pub(super) fn new(
        origin: Origin,
        body: WireBody,
        wanted: Delivery,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            decoder: origin.dialect.stream_decoder(wanted),
            origin,
            body,
            parser: SseParser::default(),
            waiting: VecDeque::new(),
            passed: BytesMut::new(),
            clock,
            until: None,
            ended: false,
        }
    }

    /// The pieces as they come. When the last has come the body is closed, whatever the server still holds back.
    pub(super) fn deltas(self) -> DeltaStream {
        Box::pin(futures_util::stream::unfold(self, |mut reading| async {
            let delta = reading.next().await?;
            Some((delta, reading))
        }))
    }

    /// All pieces as one answer, with the body that a whole answer would have had.
    pub(super) async fn fold(mut self) -> Result<Answer, Error> {
        let mut fold = Fold::new();
        while let Some(delta) = self.next().await {
            fold.push(delta?);
        }
        fold.finish(|answer| self.decoder.whole_body(answer))
    }

    async fn next(&mut self) -> Option<Result<ChatDelta, Error>> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                match self.decoder.push(&event) {
                    Ok(Some(mut delta)) => {
                        delta.frame = self.framed(event.frame);
                        return Some(Ok(delta));
                    }
                    Ok(None) => self.passed.extend_from_slice(&event.frame),
                    Err(error) => {
                        let error = self.without_key(error, &event.data);
                        return Some(Err(self.fail(error)));
                    }
                }
            }
            if self.ended {
                return self.last_bytes().map(Ok);
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    let rest = self.parser.rest();
                    self.passed.extend_from_slice(&rest);
                    if let Err(error) = self.decoder.finish() {
                        return Some(Err(self.fail(error)));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    self.passed.clear();
                    let id = self.origin.head().request_id();
                    return Some(Err(error.with_request_id(id)));
                }
            }
        }
    }

    /// The error of an event, which may show the key.
    fn without_key(&self, error: Error, event: &Bytes) -> Error {
        let shown = self.origin.secret.removed_from(event);
        match error.kind() {
            _ if shown == *event => error,
            ErrorKind::BadResponse => error.with_body(shown),
            _ => classify_event(&shown),
        }
    }

    fn framed(&mut self, frame: Bytes) -> Bytes {
        if self.passed.is_empty() {
            return frame;
        }
        self.passed.extend_from_slice(&frame);
        self.passed.split().freeze()
    }

    /// The end mark, which is no event of the answer, for those who pass the stream on.
    fn last_bytes(&mut self) -> Option<ChatDelta> {
        let frame = self.passed.split().freeze();
        (!frame.is_empty()).then(|| ChatDelta {
            frame,
            ..ChatDelta::default()
        })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.ended = true;
        self.waiting.clear();
        self.passed.clear();
        self.origin.head().stamp(error)
    }

    /// Reads the next bytes; false at the end. Once the answer is complete nothing can fail any more.
    async fn read(&mut self) -> Result<bool, Error> {
        let Some(wait) = (match self.decoder.progress() {
            Progress::Open => None,
            Progress::Complete => Some(TAIL),
            Progress::Closed => Some(LAST_BYTES),
        }) else {
            return match self.body.next().await {
                Some(bytes) => self.take(&bytes?).map(|()| true),
                None => Ok(false),
            };
        };
        // the first deadline holds: a server that drips comments does not move it, an end mark brings it nearer
        let until = self.clock.now() + wait;
        let until = self.until.map_or(until, |earlier| earlier.min(until));
        self.until = Some(until);
        match select(self.body.next(), self.clock.sleep_until(until)).await {
            Either::Left((Some(Ok(bytes)), _)) => Ok(self.take(&bytes).is_ok()),
            Either::Left((Some(Err(_)) | None, _)) | Either::Right(_) => Ok(false),
        }
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), Error> {
        let mut events = Vec::new();
        self.parser.push(bytes, &mut events)?;
        self.waiting.extend(events);
        Ok(())
    }
}
