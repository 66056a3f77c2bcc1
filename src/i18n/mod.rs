//! Texts of pages and of the command line, in English and 简体中文.
//!
//! Each area of the product has a file here. A text is one entry with both languages side by side, so a missing
//! translation does not compile. `/v1` answers are in English only, with stable codes: programs read them.

mod about;
mod account;
pub mod api;
pub mod backup;
pub mod budgets;
mod capture;
mod chains;
mod channels;
mod chosen;
pub mod cli;
mod common;
pub mod discovery;
mod format;
mod health;
pub mod help;
pub mod inspect;
mod limits;
pub mod log;
mod login;
pub mod notices;
mod onboarding;
mod openclaw;
pub mod openclaw_here;
mod overview;
mod playground;
mod pool;
pub mod pool_file;
pub mod prices;
pub mod probes;
mod ranking;
pub mod repair;
mod search;
mod settings;
mod setup;
pub mod simulate;
pub mod terminal;
mod tokens;
mod usage;

use serde::{Deserialize, Serialize};

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// 简体中文.
    Zh,
}

impl Lang {
    /// The code in forms, cookies and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// The value of a page's `lang` attribute.
    pub fn html(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// The language of a code, if it is one of ours.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::En),
            "zh" => Some(Self::Zh),
            _ => None,
        }
    }

    /// The language that a terminal's environment asks for, by the precedence of POSIX.
    pub fn of_terminal(environment: impl Fn(&str) -> Option<String>) -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| environment(name).filter(|value| !value.is_empty()))
            .map_or(Self::En, |value| Self::negotiate(&value))
    }

    /// The first of our languages in an `Accept-Language` header (in its order, weights aside) or a `LANG` variable.
    pub fn negotiate(header: &str) -> Self {
        header
            .split(',')
            .map(|part| part.trim().to_ascii_lowercase())
            .find_map(|part| match part.get(..2) {
                Some("zh") => Some(Self::Zh),
                Some("en") => Some(Self::En),
                _ => None,
            })
            .unwrap_or_default()
    }
}

/// Defines the texts of one area: a struct with one method per text.
///
/// `name: "English" / "中文";` makes `fn name(self) -> &'static str`;
/// `name(count: i64): "{count} keys" / "{count} 个密钥";` makes `fn name(self, count: i64) -> String`.
macro_rules! texts {
    (
        $(#[$doc:meta])*
        $area:ident { $($name:ident $(($($arg:ident: $type:ty),+))?: $en:literal / $zh:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $area(pub $crate::i18n::Lang);

        #[allow(missing_docs, reason = "a text is its own documentation")]
        impl $area {
            $($crate::i18n::texts!(@text $name [$($($arg: $type),+)?] $en / $zh);)*
        }
    };
    (@text $name:ident [] $en:literal / $zh:literal) => {
        pub fn $name(self) -> &'static str {
            match self.0 { $crate::i18n::Lang::En => $en, $crate::i18n::Lang::Zh => $zh }
        }
    };
    (@text $name:ident [$($arg:ident: $type:ty),+] $en:literal / $zh:literal) => {
        pub fn $name(self, $($arg: $type),+) -> String {
            match self.0 { $crate::i18n::Lang::En => format!($en), $crate::i18n::Lang::Zh => format!($zh) }
        }
    };
}
pub(crate) use texts;

/// Every text, by area.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    /// The language.
    pub lang: Lang,
    /// What each page is for.
    pub about: about::About,
    /// Words that many pages share.
    pub common: common::Common,
    /// The login.
    pub login: login::Login,
    /// The first steps.
    pub setup: setup::Setup,
    /// The account and its sessions.
    pub account: account::Account,
    /// Access tokens and the admin API.
    pub api: api::Api,
    /// The settings page.
    pub settings: settings::Settings,
    /// The pages of tokens.
    pub tokens: tokens::Tokens,
    /// The form of a token.
    pub token_form: tokens::TokenForm,
    /// Budgets.
    pub budgets: budgets::Budgets,
    /// Prices.
    pub prices: prices::Prices,
    /// The first steps on the command line, where keys belong, and whose they are.
    pub onboarding: onboarding::Onboarding,
    /// The OpenClaw page.
    pub openclaw: openclaw::OpenClaw,
    /// OpenClaw on the same machine.
    pub openclaw_here: openclaw_here::OpenClawHere,
    /// What upstreams list, and which keys they take.
    pub discovery: discovery::Discovery,
    /// What the command line says.
    pub cli: cli::Cli,
    /// Backups and the master key, on the command line.
    pub backup: backup::Backup,
    /// The Health page and diagnostics.
    pub health: health::Health,
    /// The overview.
    pub overview: overview::Overview,
    /// The help of the commands.
    pub help: help::Help,
    /// What commands print.
    pub terminal: terminal::Terminal,
    /// Captures of a token's calls.
    pub capture: capture::Capture,
    /// Chains.
    pub chains: chains::Chains,
    /// Channels, keys and models.
    pub channels: channels::Channels,
    /// What is done to several rows at a time.
    pub chosen: chosen::Chosen,
    /// How numbers and times read.
    pub format: format::Format,
    /// The playground.
    pub playground: playground::Playground,
    /// Fields of scripts and pool files.
    pub pool: pool::Pool,
    /// Limits.
    pub limits: limits::Limits,
    /// Pool files: what is wrong with them, plans, and what the export says.
    pub pool_file: pool_file::PoolFile,
    /// Ranking and the managed chains.
    pub ranking: ranking::Ranking,
    /// What models can do.
    pub probes: probes::Probes,
    /// Simulations.
    pub simulate: simulate::Simulate,
    /// What the pool can do, what is left of limits, and where calls go.
    pub inspect: inspect::Inspect,
    /// The search over everything, and the keyboard.
    pub search: search::Search,
    /// Repairs and the Health page.
    pub repair: repair::Repair,
    /// Notifications.
    pub notices: notices::Notices,
    /// The usage log.
    pub log: log::Log,
    /// The usage page.
    pub usage: usage::Usage,
}

impl Messages {
    /// The texts of a language.
    pub const fn of(lang: Lang) -> Self {
        Self {
            lang,
            about: about::About(lang),
            common: common::Common(lang),
            backup: backup::Backup(lang),
            capture: capture::Capture(lang),
            chains: chains::Chains(lang),
            channels: channels::Channels(lang),
            chosen: chosen::Chosen(lang),
            login: login::Login(lang),
            setup: setup::Setup(lang),
            account: account::Account(lang),
            api: api::Api(lang),
            settings: settings::Settings(lang),
            tokens: tokens::Tokens(lang),
            token_form: tokens::TokenForm(lang),
            budgets: budgets::Budgets(lang),
            prices: prices::Prices(lang),
            onboarding: onboarding::Onboarding(lang),
            openclaw: openclaw::OpenClaw(lang),
            openclaw_here: openclaw_here::OpenClawHere(lang),
            discovery: discovery::Discovery(lang),
            cli: cli::Cli(lang),
            health: health::Health(lang),
            overview: overview::Overview(lang),
            help: help::Help(lang),
            terminal: terminal::Terminal(lang),
            format: format::Format(lang),
            playground: playground::Playground(lang),
            pool: pool::Pool(lang),
            limits: limits::Limits(lang),
            pool_file: pool_file::PoolFile(lang),
            ranking: ranking::Ranking(lang),
            probes: probes::Probes(lang),
            simulate: simulate::Simulate(lang),
            inspect: inspect::Inspect(lang),
            repair: repair::Repair(lang),
            search: search::Search(lang),
            notices: notices::Notices(lang),
            log: log::Log(lang),
            usage: usage::Usage(lang),
        }
    }
}
