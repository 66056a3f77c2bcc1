//! What came of a delivery, in the reader's language.

use crate::{
    i18n::Messages,
    model::notice::{Fault, Report, Via},
};

/// A report in a sentence; the receiver's own words stay in its own language.
pub fn sentence(t: Messages, report: &Report) -> String {
    let n = t.notices;
    let what = match report.fault {
        None => String::new(),
        Some(fault) => fault_label(t, fault).to_owned(),
    };
    let status = report.status.map(|status| n.answer_status(status)).unwrap_or_default();
    let parts = [what, status, report.said.clone()].into_iter().filter(|part| !part.is_empty());
    match parts.collect::<Vec<_>>().join(" · ") {
        text if text.is_empty() => n.delivered().to_owned(),
        text => text,
    }
}

fn fault_label(t: Messages, fault: Fault) -> &'static str {
    let n = t.notices;
    match fault {
        Fault::Rejected => n.fault_rejected(),
        Fault::Redirected => n.fault_redirected(),
        Fault::PrivateAddress => n.fault_private(),
        Fault::PlainAway => n.fault_plain_away(),
        Fault::NameUnknown => n.fault_name_unknown(),
        Fault::ConnectionRefused => n.fault_refused(),
        Fault::NoConnection => n.fault_no_connection(),
        Fault::ConnectTimeout => n.fault_connect_timeout(),
        Fault::NoAnswer => n.fault_no_answer(),
        Fault::Tls => n.fault_tls(),
        Fault::Broken => n.fault_broken(),
        Fault::Garbled => n.fault_garbled(),
        Fault::Unsendable => n.fault_unsendable(),
        Fault::LoginRefused => n.fault_login(),
    }
}

/// A way to reach people, by its name.
pub fn via_label(t: Messages, via: Via) -> &'static str {
    let n = t.notices;
    match via {
        Via::Webhook => "Webhook",
        Via::Email => n.via_email(),
        Via::Telegram => "Telegram",
        Via::Bark => "Bark",
        Via::ServerChan => n.via_serverchan(),
        Via::DingTalk => n.via_dingtalk(),
        Via::Feishu => n.via_feishu(),
        Via::WeCom => n.via_wecom(),
    }
}

/// Where a vendor says how its side is set up.
pub fn guide(via: Via) -> Option<&'static str> {
    match via {
        Via::Webhook | Via::Email => None,
        Via::Telegram => Some("https://core.telegram.org/bots/features#botfather"),
        Via::Bark => Some("https://bark.day.app/#/tutorial"),
        Via::ServerChan => Some("https://sct.ftqq.com/sendkey"),
        Via::DingTalk => Some("https://open.dingtalk.com/document/orgapp/custom-robot-access"),
        Via::Feishu => Some("https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot"),
        Via::WeCom => Some("https://developer.work.weixin.qq.com/document/path/91770"),
    }
}
