//! The operator's own HTTP endpoint: `/metrics`, `/healthz`, `/readyz`, and `/explain/NAMESPACE/NAME` for `valkey-operator explain`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::net::TcpListener;

use crate::{controller::Desk, metrics::Metrics};

/// Serves until dropped. One that waits for leadership is ready too: it is as good a spare as any.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>, desk: Arc<Desk>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route(
            "/metrics",
            get(move || async move {
                ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
            }),
        )
        .route(
            "/explain/{namespace}/{name}",
            get(move |Path((namespace, name)): Path<(String, String)>| async move {
                let explanation = desk.ask(&namespace, &name).await;
                let text = explanation.and_then(|explanation| serde_json::to_string(&explanation).ok());
                let nobody = || (StatusCode::NOT_FOUND, format!("nobody here looks after {namespace}/{name}\n"));
                text.map(|text| ([(CONTENT_TYPE, "application/json")], text)).ok_or_else(nobody)
            }),
        );
    axum::serve(listener, routes).await
}
