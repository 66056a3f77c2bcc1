//! `onepool simulate` with the real program: what it forecasts, and what it refuses.

use std::path::Path;

use serde_json::Value;

use super::Folder;

const CHINESE: &[(&str, &str)] = &[("LANG", "zh_CN.UTF-8")];

/// Three keys with 40 a minute, and a token that asks in some way.
fn three_keys(load: &str) -> String {
    format!(
        "seconds = 600\n\n[[channels]]\nname = \"Groq\"\nkeys = 3\nlimits = [{{ max = 40 }}]\n\n\
         [[tokens]]\nname = \"agents\"\n{load}\n"
    )
}

fn forecast(scenario: &str) -> Value {
    Folder::empty().with_input(scenario, &["simulate", "-", "--json"]).json()
}

fn codes(forecast: &Value) -> Vec<&str> {
    forecast["advice"].as_array().unwrap().iter().map(|advice| advice["code"].as_str().unwrap()).collect()
}

/// The code blocks of a language in a document.
fn blocks(name: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let document = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    document.split(&begin).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_examples_of_the_documents_are_simulated_from_files() {
    let folder = Folder::empty();
    for name in ["simulate.md", "simulate.zh-CN.md"] {
        let (toml, json) = (blocks(name, "toml"), blocks(name, "json"));
        assert_eq!((toml.len(), json.len()), (2, 1), "{name}");
        let examples = toml.iter().map(|text| ("toml", text)).chain(json.iter().map(|text| ("json", text)));
        for (format, example) in examples {
            let file = folder.data.path().join(format!("scenario.{format}"));
            std::fs::write(&file, example).unwrap();
            let file = file.to_str().unwrap();
            let text = folder.run(&["simulate", file]).ok();
            assert!(text.contains("Throughput") && text.contains("95 % at most"), "{text}");
            let found = folder.run(&["simulate", file, "--json"]).json();
            assert!(found["calls"]["answered"].as_u64().unwrap() > 100, "{found}");
        }
    }
}

#[test]
fn demand_beyond_the_quota_is_told_with_the_share_that_arithmetic_gives() {
    // 168 of 120 a minute: 40 % more, and 48 of 168 cannot be served.
    let found = forecast(&three_keys("calls_per_minute = 168"));
    let throughput = &found["throughput"];
    assert_eq!(
        (&throughput["demand_per_minute"], &throughput["quota_per_minute"]),
        (&168.0.into(), &120.0.into())
    );
    let used = throughput["used_share"].as_f64().unwrap();
    assert!((0.98..=1.01).contains(&used), "{found}");
    assert_eq!(codes(&found), ["demand_exceeds_quota"]);
    assert_eq!(found["reasons"]["limits"], found["calls"]["refused"]);
    let calls = &found["calls"];
    let sum: u64 = ["answered", "refused", "failed", "cut_off", "under_way"]
        .iter()
        .map(|name| calls[name].as_u64().unwrap())
        .sum();
    assert_eq!(calls["total"], sum, "every call ends in one way");

    let folder = Folder::empty();
    let english = folder.with_input(&three_keys("calls_per_minute = 168"), &["simulate", "-"]).ok();
    let sentence =
        "Demand exceeds the quota by 40.0%: 28.6% of the calls cannot be served, whatever the gateway does.";
    assert!(english.ends_with(&format!("\n\n{sentence}\n")), "{english}");
    let file = folder.data.path().join("a.toml");
    std::fs::write(&file, three_keys("calls_per_minute = 168")).unwrap();
    let chinese = folder.run_with(&["simulate", file.to_str().unwrap()], CHINESE).ok();
    assert!(chinese.contains("需求超出配额 40.0%：") && chinese.contains("令牌"), "{chinese}");
}

#[test]
fn a_day_that_is_declared_serves_exactly_its_amount() {
    let scenario = "seconds = 7200\n[[channels]]\nname = \"a\"\nkeys = 2\n\
                    limits = [{ max = 20 }, { max = 50, window = \"day\" }]\n\
                    [[tokens]]\nname = \"t\"\ncalls_per_minute = 3\n";
    let found = forecast(scenario);
    assert_eq!((&found["calls"]["answered"], &found["upstream"]["rate_limited"]), (&100.into(), &0.into()));
    assert_eq!(codes(&found), ["demand_exceeds_quota"]);
}

#[test]
fn a_limit_of_each_model_is_counted_for_each_model() {
    let scenario = |each: &str| {
        format!(
            "seconds = 3600\n[[channels]]\nname = \"a\"\nkeys = 1\nmodels = [\"x\", \"y\"]\n\
             limits = [{{ max = 50, window = \"day\", each = \"{each}\" }}]\n\
             [[tokens]]\nname = \"one\"\nmodel = \"x\"\ncalls_per_minute = 6\n\
             [[tokens]]\nname = \"two\"\nmodel = \"y\"\ncalls_per_minute = 6\n"
        )
    };
    assert_eq!(forecast(&scenario("model"))["calls"]["answered"], 100);
    assert_eq!(forecast(&scenario("account"))["calls"]["answered"], 50);
}

#[test]
fn tokens_share_a_pool_that_is_too_small_by_their_weights() {
    let found = forecast(
        "seconds = 600\ndeadline_ms = 120000\n[[channels]]\nname = \"a\"\nkeys = 3\nlimits = [{ max = 40 }]\n\
         [[tokens]]\nname = \"one\"\nagents = 40\n[[tokens]]\nname = \"two\"\nagents = 40\n",
    );
    let share = found["tokens"][0]["answered_share"].as_f64().unwrap();
    assert!((0.45..=0.55).contains(&share), "{found}");
    assert_eq!(found["throughput"]["demand_per_minute"], Value::Null);
}

#[test]
fn limits_that_are_declared_too_high_and_a_dead_pool_are_pointed_out() {
    let found =
        forecast(&three_keys("calls_per_minute = 110").replace("max = 40", "max = 32, declared = 60"));
    assert!(codes(&found).contains(&"limits_declared_too_high"), "{found}");
    let dead = three_keys("calls_per_minute = 30")
        .replace("keys = 3", "keys = 3\ntroubles = [{ kind = \"outage\" }]");
    let found = forecast(&dead);
    assert_eq!(found["calls"]["answered"], 0);
    assert!(codes(&found).contains(&"nobody_could_serve"), "{found}");
}

#[test]
fn the_same_seed_gives_the_same_forecast_and_another_seed_another() {
    let run = |seed: &str| {
        let scenario = three_keys("calls_per_minute = 90");
        Folder::empty().with_input(&scenario, &["simulate", "-", "--json", "--seed", seed]).ok()
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
    let bad = Folder::empty().with_input("", &["simulate", "-", "--seed", "x"]);
    assert!(bad.refused(2).contains("--seed"));
}

#[test]
fn what_is_wrong_is_told_with_file_line_field_and_the_name_that_was_meant() {
    let folder = Folder::empty();
    let file = folder.data.path().join("bad.toml");
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        folder.run(&["simulate", file.to_str().unwrap()]).refused(2)
    };
    let said = refused(&three_keys("agent = 4"));
    assert!(said.contains("bad.toml:10:1: tokens[0].agent:") && said.contains("“agents”"), "{said}");
    for (old, new, words) in [
        ("agents = 4", "agents = 4\ncalls_per_minute = 3", "tokens[0]: Please give exactly one"),
        ("agents = 4", "agents = 4\nmodel = \"x\"", "tokens[0].model: No channel has the model “x”"),
        ("agents = 4", "calls_per_minute = 0.0", "tokens[0].calls_per_minute:"),
        ("agents = 4", "burst_calls = 4", "tokens[0].burst_every_ms:"),
        ("max = 40", "max = 0", "channels[0].limits[0].max:"),
        ("max = 40", "max = 40, zone = \"UTC\"", "channels[0].limits[0].zone:"),
        ("max = 40", "max = 40, window = \"day\", zone = \"Mars\"", "channels[0].limits[0].zone:"),
        ("{ max = 40 }", "{ max = 40 }, { max = 30, window = \"fixed\" }", "channels[0].limits[1]:"),
        ("keys = 3", "keys = 3\nkeys_per_account = 4", "channels[0].keys_per_account:"),
        (
            "keys = 3",
            "keys = 3\ntroubles = [{ kind = \"dead_key\", key = 4 }]",
            "channels[0].troubles[0].key:",
        ),
        ("seconds = 600", "seconds = 600\nwarm_up_seconds = 600", "warm_up_seconds:"),
        ("seconds = 600", "seconds = 2678400", "bad.toml:1:1: seconds: This may come to"),
    ] {
        let text = three_keys("agents = 4").replace(old, new);
        let said = refused(&text);
        assert!(said.contains(words), "{new}: {said}");
    }
    let said = folder.with_input("{\"seconds\": 60}", &["simulate", "-", "--json"]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, json["faults"].as_array().unwrap().len()), (Some(2), 2), "{said:?}");
    assert!(folder.run(&["simulate", "nowhere.toml"]).refused(2).contains("nowhere.toml"));
}
