//! What a file may not say: limits that contradict each other or cannot be, unknown time zones, rules by loose words.

use super::{
    calendar::Calendar,
    data::{
        AmountHint, Condition, CounterData, File, HeaderData, Hint, LimitData, LimitHint, RefusalData, Scope,
        WindowData,
    },
    fixes,
    observe::plausible,
    preset,
};
use crate::model::{
    limit::{Metric, Models},
    usage::OutcomeClass,
};

/// The longest span of a window: 400 days.
const MAX_SPAN_MS: u64 = 400 * 86_400_000;

/// Faults found so far: a place and a message.
struct Faults<'a> {
    file: &'a File,
    found: Vec<(String, String)>,
}

/// Checks all that reading alone does not; gives places and messages.
pub(super) fn check(file: &File) -> Result<(), Vec<(String, String)>> {
    let mut faults = Faults { file, found: Vec::new() };
    faults.head();
    for (place, limit) in file.limits.iter().flatten().enumerate() {
        faults.limit(&format!("limits[{place}]"), limit, place);
    }
    for (place, header) in file.headers.iter().flatten().enumerate() {
        faults.headers(&format!("headers[{place}]"), header);
    }
    for (place, rule) in file.refusals.iter().flatten().enumerate() {
        faults.refusal(&format!("refusals[{place}]"), rule);
        let twice = file.refusals.iter().flatten().take(place).any(|other| other.id == rule.id);
        faults.unless(!twice, &format!("refusals[{place}].id"), || format!("`{}` is there twice", rule.id));
    }
    if let Some(counter) = &file.counter {
        faults.counter(counter);
    }
    faults.found.extend(preset::faults(file));
    faults.found.extend(fixes::faults(file));
    if faults.found.is_empty() { Ok(()) } else { Err(faults.found) }
}

/// A page is asked for at most so often.
const MIN_COUNTER_SPAN_MS: u64 = 60_000;

impl Faults<'_> {
    fn unless(&mut self, good: bool, place: &str, message: impl FnOnce() -> String) {
        if !good {
            self.found.push((place.to_owned(), message()));
        }
    }

    fn head(&mut self) {
        let file = self.file;
        self.unless(is_id(&file.id), "id", || {
            "use 1 to 40 lower-case letters, digits and hyphens, such as `my-provider`".into()
        });
        for (place, address) in file.base_urls.iter().flatten().enumerate() {
            let plain = address.replace(['{', '}'], "");
            let good = url::Url::parse(&plain)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
            self.unless(good, &format!("base_urls[{place}]"), || {
                format!("`{address}` is no http or https address")
            });
        }
        for (place, name) in file.key_env.iter().flatten().enumerate() {
            let letters = |c: char| c.is_ascii_uppercase() || c == '_';
            let good = name.starts_with(letters)
                && name.len() <= 60
                && name.chars().all(|c| letters(c) || c.is_ascii_digit());
            self.unless(good, &format!("key_env[{place}]"), || {
                format!("`{name}` is no variable's name, such as `GROQ_API_KEY`")
            });
        }
        if let Some(reset) = &file.reset {
            self.unless(Calendar::new(reset).is_some(), "reset.zone", || {
                format!("`{}` is no IANA time zone, such as `Asia/Shanghai`", reset.zone)
            });
            self.unless(reset.offset_minutes < 1440, "reset.offset_minutes", || {
                "a day has 1440 minutes".into()
            });
        }
        for (place, plan) in file.plans.iter().flatten().enumerate() {
            let twice = file.plans.iter().flatten().take(place).any(|other| other.id == plan.id);
            self.unless(is_id(&plan.id) && !twice, &format!("plans[{place}].id"), || {
                format!("`{}` is there twice, or has other characters than a-z, 0-9 and hyphens", plan.id)
            });
        }
        let named =
            file.name.as_ref().is_none_or(|name| !name.en.trim().is_empty() && !name.zh.trim().is_empty());
        self.unless(named, "name", || "both languages need a name".into());
    }

    fn limit(&mut self, at: &str, limit: &LimitData, place: usize) {
        if let Some(max) = limit.max {
            self.unless(plausible(limit.metric, max).is_some(), &format!("{at}.max"), || {
                format!("{max} cannot be: leave `max` out if the amount is unknown")
            });
        }
        self.window(&format!("{at}.window"), &limit.window, limit.metric, limit.max);
        self.scope(&format!("{at}.scope"), limit.scope);
        self.models(at, &limit.models);
        let plans = self.file.plans.as_deref().unwrap_or_default();
        let known = limit.plan.as_ref().is_none_or(|plan| plans.iter().any(|known| known.id == *plan));
        self.unless(known, &format!("{at}.plan"), || "`plans` has no plan of this id".into());
        let per_call = limit.per_call.is_none_or(|cost| limit.metric == Metric::Units && cost > 0);
        self.unless(per_call, &format!("{at}.per_call"), || "only units have a cost per call".into());
        let same = |other: &&LimitData| {
            (other.metric, &other.window, other.scope, &other.models, &other.plan)
                == (limit.metric, &limit.window, limit.scope, &limit.models, &limit.plan)
        };
        let other = self.file.limits.iter().flatten().take(place).position(|other| same(&other));
        if let Some(other) = other {
            self.unless(false, at, || format!("limits[{other}] is about the same calls; keep one of them"));
        }
    }

    fn window(&mut self, at: &str, window: &WindowData, metric: Metric, max: Option<u64>) {
        let at_once = *window == WindowData::AtOnce;
        self.unless((metric == Metric::Concurrency) == at_once, at, || {
            "concurrency goes with the window `at_once`, and nothing else does".into()
        });
        match window {
            WindowData::Rolling(span) => self.unless((1..=MAX_SPAN_MS).contains(&span.0), at, || {
                "a span is at least 1 ms and at most 400 days".into()
            }),
            WindowData::Bucket(bucket) => {
                self.unless((1..=MAX_SPAN_MS).contains(&bucket.per.0), &format!("{at}.per"), || {
                    "a span is at least 1 ms and at most 400 days".into()
                });
                let fits = bucket.burst.is_none_or(|burst| burst > 0 && max.is_none_or(|max| burst <= max));
                self.unless(fits, &format!("{at}.burst"), || {
                    "a burst is at least 1 and at most `max`".into()
                });
            }
            WindowData::Calendar(_) => self.unless(self.file.reset.is_some(), at, || {
                "a calendar window needs `reset.zone`; without it write a rolling window".into()
            }),
            WindowData::OneShot | WindowData::AtOnce => {}
        }
    }

    fn models(&mut self, at: &str, models: &Models) {
        for (place, pattern) in models.0.iter().enumerate() {
            self.unless((1..=200).contains(&pattern.len()), &format!("{at}.models[{place}]"), || {
                "a pattern has 1 to 200 characters".into()
            });
        }
    }

    fn scope(&mut self, at: &str, scope: Scope) {
        self.unless(scope != Scope::Request, at, || "a limit holds for more than one request".into());
    }

    fn headers(&mut self, at: &str, header: &HeaderData) {
        if let Some(window) = &header.window {
            self.window(&format!("{at}.window"), window, header.metric, None);
        }
        self.scope(&format!("{at}.scope"), header.scope);
        let names = [("max", &header.max), ("remaining", &header.remaining), ("reset", &header.reset)];
        for (field, name) in names.into_iter().filter_map(|(field, name)| Some((field, name.as_ref()?))) {
            self.header_name(&format!("{at}.{field}"), name);
        }
        self.unless(header.max.is_some() || header.remaining.is_some(), at, || {
            "name the header of `max` or of `remaining`".into()
        });
    }

    fn header_name(&mut self, at: &str, name: &str) {
        let good = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        self.unless(good, at, || format!("`{name}`: write a header's name in lower case"));
    }

    fn refusal(&mut self, at: &str, rule: &RefusalData) {
        let statuses = !rule.status.is_empty()
            && rule.status.iter().all(|status| *status == 0 || (300..600).contains(status));
        self.unless(statuses, &format!("{at}.status"), || {
            "name statuses from 300 to 599, or 0 for an error inside a 200 that names none".into()
        });
        let refuses = !matches!(
            rule.class,
            OutcomeClass::Success
                | OutcomeClass::ClientClosed
                | OutcomeClass::Paused
                | OutcomeClass::BudgetReached
        );
        self.unless(refuses, &format!("{at}.class"), || "this is not what a refusal means".into());
        let request = rule.class != OutcomeClass::ClientError || rule.scope == Scope::Request;
        self.unless(request, &format!("{at}.scope"), || {
            "a client's error is about its `request` alone".into()
        });
        let lasting = !rule.permanent
            || (rule.scope != Scope::Request
                && !matches!(rule.class, OutcomeClass::RateLimited | OutcomeClass::Ambiguous));
        self.unless(lasting, &format!("{at}.permanent"), || {
            "what is limited or unclear, or about one request, ends by itself".into()
        });
        self.models(at, &rule.models);
        for (place, condition) in rule.when.iter().enumerate() {
            self.condition(&format!("{at}.when[{place}]"), condition);
        }
        // An error inside a 200 says nothing by itself.
        self.unless(!rule.when.is_empty() || !rule.status.contains(&0), &format!("{at}.when"), || {
            "a rule on status 0 needs a condition".into()
        });
        for (place, hint) in rule.until.iter().enumerate() {
            self.hint(&format!("{at}.until[{place}]"), hint, rule);
        }
        if let Some(limit) = &rule.limit {
            self.limit_hint(&format!("{at}.limit"), limit);
        }
    }

    fn condition(&mut self, at: &str, condition: &Condition) {
        self.unless(condition.field.is_some() != condition.header.is_some(), at, || {
            "name either a `field` or a `header`".into()
        });
        if let Some(name) = &condition.header {
            self.header_name(&format!("{at}.header"), name);
        }
        let phrases = || [&condition.contains, &condition.starts, &condition.ends].into_iter().flatten();
        let said = usize::from(condition.present) + condition.is.len() + phrases().count();
        self.unless(said > 0 && (!condition.present || said == 1), at, || {
            "say what is there: one of `is`, `contains`, `starts`, `ends`, or `present` alone".into()
        });
        let in_text = condition.field.as_deref() == Some("text");
        self.unless(!(in_text && condition.present), at, || "`present` says nothing about `text`".into());
        for phrase in phrases() {
            self.unless(!is_loose(phrase, in_text), at, || {
                format!("`{phrase}` is too loose: write more of the vendor's sentence")
            });
        }
    }

    fn hint(&mut self, at: &str, hint: &Hint, rule: &RefusalData) {
        let places = [
            hint.header.is_some(),
            hint.field.is_some(),
            hint.after.is_some(),
            hint.date_after.is_some(),
            hint.fixed.is_some(),
            hint.end_of_period,
        ];
        self.unless(places.into_iter().filter(|place| *place).count() == 1, at, || {
            "name exactly one of `header`, `field`, `after`, `date_after`, `fixed` and `end_of_period`".into()
        });
        if let Some(name) = &hint.header {
            self.header_name(&format!("{at}.header"), name);
        }
        let calendar = self.file.reset.is_some() && rule.period.is_some_and(|period| period.unit().is_some());
        self.unless(!hint.end_of_period || calendar, at, || {
            "the end of a period needs `reset.zone` and the rule's `period`: hour, day or month".into()
        });
        self.unless(self.file.reset.is_some() || hint.date_after.is_none(), at, || {
            "a date on the provider's wall clock needs `reset.zone`".into()
        });
        let loose =
            [&hint.after, &hint.date_after].into_iter().flatten().any(|phrase| is_loose(phrase, true));
        self.unless(!loose, at, || "the phrase is too loose: write more of the vendor's sentence".into());
    }

    fn counter(&mut self, counter: &CounterData) {
        let path = &counter.path;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
        let good = (1..=100).contains(&path.len())
            && path.bytes().all(plain)
            && !path.starts_with('/')
            && !path.contains("..");
        self.unless(good, "counter.path", || format!("`{path}` is no path such as `key`"));
        self.unless((MIN_COUNTER_SPAN_MS..=MAX_SPAN_MS).contains(&counter.every.0), "counter.every", || {
            "ask at most once a minute".into()
        });
        let plans = self.file.plans.as_deref().unwrap_or_default();
        for (place, hint) in counter.plans.iter().enumerate() {
            let known = plans.iter().any(|plan| plan.id == hint.plan);
            self.unless(known, &format!("counter.plans[{place}].plan"), || {
                "`plans` has no plan of this id".into()
            });
            self.unless(!hint.is.is_empty(), &format!("counter.plans[{place}].is"), || {
                "say what stands in the field".into()
            });
        }
        for (place, limit) in counter.limits.iter().enumerate() {
            let at = format!("counter.limits[{place}]");
            self.window(&format!("{at}.window"), &limit.window, limit.metric, None);
            self.scope(&format!("{at}.scope"), limit.scope);
            self.models(&at, &limit.models);
            self.unless(limit.max.is_some() || limit.remaining.is_some(), &at, || {
                "name the field of `max` or of `remaining`".into()
            });
        }
    }

    fn limit_hint(&mut self, at: &str, limit: &LimitHint) {
        self.window(&format!("{at}.window"), &limit.window, limit.metric, None);
        self.scope(&format!("{at}.scope"), limit.scope);
        self.unless(!limit.max.is_empty(), &format!("{at}.max"), || "say where the amount is found".into());
        for (place, hint) in limit.max.iter().enumerate() {
            let AmountHint { header, field, after } = hint;
            let places = [header.is_some(), field.is_some(), after.is_some()];
            self.unless(
                places.into_iter().filter(|place| *place).count() == 1,
                &format!("{at}.max[{place}]"),
                || "name exactly one of `header`, `field` and `after`".into(),
            );
        }
    }
}

pub(super) fn is_id(id: &str) -> bool {
    (1..=40).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a phrase may be found where it was not meant: it is short, or in a text for people it is a single word.
fn is_loose(phrase: &str, in_text: bool) -> bool {
    let phrase = phrase.trim();
    let length: usize = phrase.chars().map(|char| if char.is_ascii() { 1 } else { 2 }).sum();
    length < 6 || in_text && phrase.chars().all(|char| char.is_ascii_alphanumeric())
}
