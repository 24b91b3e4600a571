//! What the listeners hand requests to.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    admin::Admin,
    proxy::{Body, Pipeline, server::Handler},
};

/// The admin port.
pub(super) struct AdminHandler(pub(super) Admin);

impl Handler for AdminHandler {
    type Body = Full<Bytes>;

    async fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Self::Body> {
        self.0.respond(&request, peer)
    }
}

/// The data port.
pub(super) struct DataHandler(pub(super) Arc<Pipeline>);

impl Handler for DataHandler {
    type Body = Body;

    async fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> Response<Self::Body> {
        self.0.handle(request).await
    }

    fn deadline(body: &Body) -> Option<Instant> {
        body.deadline()
    }

    fn overloaded(&self) {
        self.0.overloaded();
    }
}
