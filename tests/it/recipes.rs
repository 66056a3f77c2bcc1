//! The pool files of `examples/`, word for word: applied with the real command, then called, against upstreams that keep
//! the books of the vendors they stand for. Only the vendors' addresses are replaced.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use onepool::model::time::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{Reply, TestApp, at, eventually},
    upstream::{Call, Upstream, vendor::Day},
};

const NOON: &str = "2026-11-20T12:00:00Z";

/// A server on the pool of an example.
struct Recipe {
    app: TestApp,
    upstream: Upstream,
    /// The value of the example's token.
    token: String,
}

impl Recipe {
    /// Applies `examples/NAME.toml` with these variables, the vendor's address replaced, and starts a server on it.
    async fn start(
        name: &str,
        address: &str,
        upstream: Upstream,
        variables: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.toml"));
        let text = fs::read_to_string(path).unwrap();
        // As it stands it is a valid plan, too.
        apply(&folder, "plan", &text, variables, &["--dry-run"]);
        let line = format!("base_url = \"{address}\"");
        assert_eq!(text.matches(&line).count(), 1, "{name} names its vendor's address");
        let ours = format!("base_url = \"{}\"\nallow_private = true", upstream.base_url());
        let said = apply(&folder, "data", &text.replace(&line, &ours), variables, &["--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let token = said["new_tokens"][0]["value"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        let app = TestApp::start_in(folder, Clock::manual(at(NOON)), settings).await;
        Self { app, upstream, token }
    }

    async fn ask_from(&self, address: Option<&str>, model: &str, stream: bool) -> Reply {
        let body =
            json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]});
        let mut request =
            self.app.http.post(self.app.url("/v1/chat/completions")).bearer_auth(&self.token).json(&body);
        if let Some(address) = address {
            request = request.header("x-forwarded-for", address);
        }
        Reply::read(request.send().await.unwrap()).await
    }

    async fn ask(&self, model: &str) -> Reply {
        self.ask_from(None, model, false).await
    }

    /// The upstream's model that answers a call.
    async fn served(&self, model: &str) -> String {
        let reply = self.ask(model).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        self.upstream.inferences().last().unwrap().model.clone()
    }

    fn refused(&self) -> Vec<Call> {
        self.upstream.inferences().into_iter().filter(|call| call.refused.is_some()).collect()
    }
}

/// Runs `onepool apply` on a text and a data folder; says what it printed.
fn apply(folder: &TempDir, data: &str, text: &str, variables: &[(&str, &str)], options: &[&str]) -> String {
    fs::write(folder.path().join("pool.toml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_onepool"))
        .env_clear()
        .env("DATA_DIR", data)
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .args(["apply", "pool.toml"])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn three_nvidia_keys_serve_a_hundred_and_twenty_calls_a_minute_to_the_home_network() {
    let keys = ["nvapi-1aaaaaaaaaaaaaaa", "nvapi-2bbbbbbbbbbbbbbb", "nvapi-3ccccccccccccccc"];
    let variables = [("NVIDIA_KEY_1", keys[0]), ("NVIDIA_KEY_2", keys[1]), ("NVIDIA_KEY_3", keys[2])];
    let upstream = Upstream::start();
    upstream.allow_keys(&keys);
    upstream.set_models(&[
        "minimaxai/minimax-m2.1",
        "deepseek-ai/deepseek-v3.2",
        "z-ai/glm5",
        "qwen/qwen3-coder-480b-a35b-instruct",
        "moonshotai/kimi-k2.5",
    ]);
    let address = "https://integrate.api.nvidia.com/v1";
    let believed = [("TRUSTED_PROXIES", "127.0.0.1")];
    let recipe = Recipe::start("nvidia", address, upstream, &variables, &believed).await;
    let home = Some("192.168.1.23");
    assert_eq!(recipe.ask_from(Some("192.168.2.1"), "glm5", false).await.status, 403, "not at home");
    let long = recipe.ask_from(home, "z-ai/glm5", false).await;
    assert_eq!(long.code(), "model_not_found", "the token is for the short names");

    let names = ["minimax-m2.1", "deepseek-v3.2", "glm5", "qwen3-coder", "kimi-k2.5"];
    let calls = (0..120).map(|call| recipe.ask_from(home, names[call % names.len()], call % 2 == 0));
    for reply in join_all(calls).await {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let of_key = |key: &str| {
        recipe.upstream.inferences().iter().filter(|call| call.key.as_deref() == Some(key)).count()
    };
    assert_eq!(keys.map(of_key), [40, 40, 40], "every key gives all that it has");

    let waiting = recipe.ask_from(home, "glm5", true);
    let minute = async {
        eventually("a call in line", async || recipe.app.app.site().dispatch.waiting() == 1).await;
        assert_eq!(recipe.upstream.inferences().len(), 120, "nothing was sent in vain");
        recipe.app.clock.advance(Duration::from_secs(62));
    };
    let (reply, ()) = tokio::join!(waiting, minute);
    assert_eq!((reply.status, recipe.refused().len()), (200, 0), "{}", reply.text());
    recipe.app.stop().await;
}

#[tokio::test]
async fn one_modelscope_key_gives_the_days_of_four_models_and_begins_anew_after_the_reset_in_china() {
    let models = ["Qwen/Qwen3.5-397B-A17B", "ZhipuAI/GLM-5", "moonshotai/Kimi-K2.5", "MiniMax/MiniMax-M2.5"];
    let upstream = Upstream::start();
    upstream.begin_day(Day::of_modelscope(3));
    let address = "https://api-inference.modelscope.cn/v1";
    let variables = [("MODELSCOPE_KEY", "ms-0123456789abcdef")];
    let recipe = Recipe::start("modelscope", address, upstream, &variables, &[]).await;
    let mut served = Vec::new();
    for _ in 0..12 {
        served.push(recipe.served("daily").await);
    }
    let expected: Vec<&str> = models.iter().flat_map(|model| [*model; 3]).collect();
    assert_eq!(served, expected, "each model gives its whole day, one after the other");

    let reply = recipe.ask("daily").await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "pool_exhausted"));
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    // From noon in London to five past midnight in Shanghai.
    let reset = (4 * 60 + 5) * 60;
    assert_eq!(
        seconds, 120,
        "OpenClaw goes on at once, and without other models it sleeps no longer than that"
    );
    assert!(recipe.refused().is_empty(), "no call was sent in vain");

    recipe.app.clock.advance(Duration::from_secs(reset - 120));
    assert_eq!(recipe.ask("daily").await.status, 429, "the day is not over yet");
    recipe.app.clock.advance(Duration::from_secs(240));
    recipe.upstream.begin_day(Day::of_modelscope(3));
    assert_eq!(recipe.served("daily").await, models[0], "a new day begins with the first model");
    for (alias, model) in [("glm5", models[1]), ("kimi", models[2]), ("minimax", models[3])] {
        assert_eq!(recipe.served(alias).await, model);
    }
    recipe.app.stop().await;
}

#[tokio::test]
async fn openrouters_counter_tells_what_an_account_has_left_whichever_of_its_keys_asks() {
    let upstream = Upstream::start();
    let counter = |remaining: u32| {
        json!({"data": {"is_free_tier": true, "free_model_daily_requests": {"limit": 50, "used": 50 - remaining,
            "remaining": remaining}}})
    };
    // Something else has used most of the day before this server began.
    upstream.set_page("/v1/key", &counter(3));
    let variables =
        [("OPENROUTER_KEY_1", "sk-or-v1-1aaaaaaaaaaa"), ("OPENROUTER_KEY_2", "sk-or-v1-2bbbbbbbbbbb")];
    let address = "https://openrouter.ai/api/v1";
    let recipe = Recipe::start("openrouter", address, upstream, &variables, &[]).await;
    let asked = || recipe.upstream.calls().iter().any(|call| call.request.path == "/v1/key");
    eventually("a look at the counter", async || asked()).await;
    let of_day = || {
        let site = recipe.app.app.site();
        let channel = site.catalog.load().channels().next().unwrap().channel.id;
        let readings = site.dispatch.lock().readings_of_channel(channel, None, site.dispatch.now());
        readings.iter().any(|(_, reading)| (reading.max, reading.used) == (50, 47))
    };
    eventually("what it said", async || of_day()).await;

    for _ in 0..3 {
        assert_eq!(recipe.served("free").await, "nvidia/nemotron-3-super-120b-a12b:free");
    }
    let reply = recipe.ask("free").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (429, "pool_exhausted"),
        "the account's day is used up"
    );
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(
        seconds, 120,
        "OpenClaw goes on at once, and without other models it sleeps no longer than that"
    );
    assert_eq!(recipe.upstream.inferences().len(), 3, "the second key is of the same account");

    recipe.app.clock.advance(Duration::from_secs(12 * 3600 + 120));
    assert_eq!(
        recipe.served("free").await,
        "nvidia/nemotron-3-super-120b-a12b:free",
        "after midnight in UTC"
    );
    recipe.app.stop().await;
}
