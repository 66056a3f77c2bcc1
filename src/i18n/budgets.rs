//! Budgets: their fields, and the page that lists them.

use super::texts;

texts! {
    /// Budgets of tokens, keys and channels.
    Budgets {
        title: "Budgets" / "预算";
        nav: "Budgets" / "预算";
        intro: "How much tokens, channels and keys may spend, and what is spent in the present period. A token that has spent its quota is refused; a channel or key that has spent its budget takes no calls until it starts anew, and others serve them." / "令牌、渠道和密钥可以花费多少，以及当前周期已花费多少。额度用完的令牌会被拒绝；预算用完的渠道或密钥在重置前不再接收调用，由其他渠道或密钥承担。";
        filter: "Token, channel or key" / "令牌、渠道或密钥";
        none_fits: "No budget fits the filter." / "没有符合筛选条件的预算。";
        empty_title: "No budgets yet" / "还没有预算";
        empty_text: "A budget limits what a token, a channel or a key spends in an hour, a day, a week or a month. Set one where you edit it." / "预算限制令牌、渠道或密钥在每小时、每天、每周或每月的花费。请在各自的编辑页设置。";
        to_tokens: "Tokens" / "令牌";
        to_channels: "Channels" / "渠道";
        owner: "Whose" / "归属";
        kind_token: "token" / "令牌";
        kind_key: "key" / "密钥";
        kind_channel: "channel" / "渠道";
        spent: "Spent" / "已花费";
        left: "Left" / "剩余";
        starts_anew: "Starts anew" / "重置时间";
        warnings: "Warnings" / "预警";
        state: "State" / "状态";
        state_ok: "within budget" / "预算内";
        state_warned(level: u8): "{level}% reached" / "已达 {level}%";
        state_used_up: "used up" / "已用完";
        state_used_up_warns: "used up, calls go on" / "已用完，调用继续";
        levels(list: &str): "at {list}%" / "达 {list}% 时";
        no_levels: "none before the end" / "用完前不预警";
        anew_in(left: &str): "in {left}" / "{left}后";
        anew_never: "never by itself" / "不自动重置";
        days_and_hours(days: i64, hours: i64): "{days} d {hours} h" / "{days} 天 {hours} 小时";
        hours_and_minutes(hours: i64, minutes: i64): "{hours} h {minutes} min" / "{hours} 小时 {minutes} 分钟";
        minutes(minutes: i64): "{minutes} min" / "{minutes} 分钟";
        begin_anew_sure(name: &str): "The present period of {name} counts from zero again; what was spent in it is forgotten. The usage log is not changed." / "{name} 的当前周期将从零开始计算，本周期已花费的数额不再计入，不影响用量日志。";
        begin_anew_yes: "Yes, start anew" / "确认重新计算";
        begin_anew: "Start anew" / "重新计算";
        begin_anew_of(name: &str): "Start anew: the budget of {name}" / "重新计算 {name} 的预算";
        begun_anew: "The budget of the present period counts from zero again." / "当前周期的预算已重新从零计算。";
        not_found: "There is no such budget." / "没有这个预算。";
        unpriced(count: usize): "{count} models of this channel have no price: calls to them count nothing unless the upstream says what they cost." / "此渠道有 {count} 个模型没有价格：除非上游报告费用，对它们的调用不计入预算。";

        // Fields.
        section: "Budget" / "预算";
        unit: "Budget counts" / "预算单位";
        unit_none: "no budget" / "无预算";
        unit_hint_channel: "What all keys of this channel spend together. Once it is used up, the channel takes no calls until it starts anew." / "此渠道所有密钥合计的花费。用完后，渠道在重置前不再接收调用。";
        unit_hint_key: "What calls with this key spend. Once it is used up, the key takes no calls until it starts anew." / "使用此密钥的调用的花费。用完后，密钥在重置前不再接收调用。";
        unit_missing: "Choose what the budget counts, or empty the amount." / "请选择预算单位，或清空数值。";
        reset_hour: "every hour" / "每小时";
        warn_at: "Warn at (percent)" / "预警点（百分比）";
        warn_at_hint: "Up to five percentages, such as 80, 95. That all is spent is always told." / "最多五个百分比，例如 80, 95。用完时总会提示。";
        levels_wrong(most: usize): "Give at most {most} whole percentages from 1 to 100, such as 80, 95." / "请填写最多 {most} 个 1 到 100 的整数百分比，例如 80, 95。";
        at_limit: "When it is used up" / "用完后";
        at_limit_stop: "stop" / "停止";
        at_limit_warn: "only warn" / "仅预警";
        saved_since(amount: &str): "Saved in 30 days: {amount}" / "30 天内节省：{amount}";
        saved_hint: "What calls would have cost by list prices, less what they did cost." / "按目录价应付的费用减去实际费用。";

        // The command line.
        none: "There are no budgets." / "没有预算。";
        of_channel(key: &str, channel: &str): "{key} of {channel}" / "{channel} 的 {key}";
    }
}
