//! The endpoints beside chat: what passes, what is counted, what is refused, and which channels are asked.

mod forms;
mod images;
mod messages;
mod responses;
mod serving;
mod speech;
mod stored;
mod verdicts;
mod videos;

use onepool::model::endpoint::{Endpoint, Endpoints};

use crate::support::{
    app::{TestApp, model},
    upstream::Upstream,
};

/// A server with a token, and a channel for the models `m` and `n` that serves every endpoint.
async fn serving_all() -> (TestApp, Upstream) {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    all(&app, "c", &upstream, &["sk-upstream-1"]).await;
    (app, upstream)
}

/// A further channel that serves every endpoint.
async fn all(app: &TestApp, name: &str, upstream: &Upstream, keys: &[&str]) {
    app.channel_with(name, &upstream.base_url(), keys, |channel| {
        channel.models = vec![model("m"), model("n")];
        channel.redirects = vec![crate::support::app::redirect("public", "n")];
        channel.endpoints = every();
    })
    .await;
}

fn every() -> Endpoints {
    Endpoint::ALL.iter().copied().collect()
}
