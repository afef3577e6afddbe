//! What stands in front of the routes: refusals that need no route, the bound of calls, and the end of panics.

use std::{
    convert::Infallible, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc,
    time::Duration,
};

use antiphon::{Error, ErrorKind, fronts};
use axum::{Router, body::Body};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::{body::Incoming, service::Service};
use tower_service::Service as _;

use super::{ServerConfig, held::hold, peer::Peer, site::Site, unfit::Unfit};
use crate::{calls::stopping, observe::Remote, routes::front_at};

/// The way in, for one connection.
#[derive(Clone)]
pub(super) struct Door<S> {
    pub(super) site: S,
    pub(super) router: Router,
    pub(super) config: Arc<ServerConfig>,
    pub(super) peer: Arc<Peer>,
    pub(super) remote: Remote,
}

impl<S: Site> Service<Request<Incoming>> for Door<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let asking = self.peer.ask();
        if let Some(response) = self.refused(&request) {
            return Box::pin(std::future::ready(Ok(hold(response, asking, None, None))));
        }
        let front = front_at(request.uri().path(), request.headers());
        let permit = if self.site.is_call(request.method(), request.uri().path()) {
            let permit = self.site.calls().enter(self.config.max_calls);
            if permit.is_none() {
                let response = self.site.refusal(&too_many(), front);
                return Box::pin(std::future::ready(Ok(hold(response, asking, None, None))));
            }
            permit
        } else {
            None
        };
        // below it, the connection itself is what is read or not
        let patience = (request.version() == Version::HTTP_2).then_some(self.config.write_timeout);
        let extensions = request.extensions_mut();
        extensions.insert(self.remote);
        extensions.insert(self.config.body);
        extensions.insert(Arc::clone(self.site.calls()));
        // whoever asks a server that is about to end asks on another connection next time
        let closes = self.site.calls().is_draining() && request.version() < Version::HTTP_2;
        let (mut router, site) = (self.router.clone(), self.site.clone());
        Box::pin(async move {
            // routing itself may panic, too
            let answer = AssertUnwindSafe(async { router.call(request).await });
            let mut response = match answer.catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    // the hook of panics has said where
                    tracing::error!("a request was answered with 500: its handler panicked");
                    let error =
                        Error::new(ErrorKind::ServerError, "the gateway failed").with_status(500);
                    site.refusal(&error, front)
                }
            };
            if closes {
                close_after(&mut response);
            }
            Ok(hold(response, asking, permit, patience))
        })
    }
}

impl<S: Site> Door<S> {
    /// The refusal of a request that nobody needs to read.
    fn refused(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let most = self.config.most_headers;
        let (error, front) = if let Some(refused) = self.peer.refused() {
            let front = fronts::front_or_default(refused.front);
            (refused.unfit.error(), front)
        } else if request.headers().len() > most {
            // HTTP/2, whose frames nobody has counted before
            let unfit = Unfit::too_large(format!("more than {most} headers"));
            let front = front_at(request.uri().path(), request.headers());
            (unfit.error(), front)
        } else if self.site.calls().is_draining()
            && self.site.is_call(request.method(), request.uri().path())
        {
            let front = front_at(request.uri().path(), request.headers());
            (stopping(), front)
        } else {
            return None;
        };
        let mut response = self.site.refusal(&error, front);
        if request.version() < Version::HTTP_2 {
            close_after(&mut response);
        }
        Some(response)
    }
}

fn close_after(response: &mut Response<Body>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

fn too_many() -> Error {
    let message = "the gateway has as many calls under way as it takes: try again in a second";
    Error::new(ErrorKind::Overloaded, message)
        .with_status(503)
        .with_retry_after(Some(Duration::from_secs(1)))
}
