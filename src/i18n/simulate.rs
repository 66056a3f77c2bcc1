//! What `onepool simulate` says: of its file, of its result, and what to do about it.

use super::texts;

texts! {
    /// Simulations.
    Simulate {
        about: "Say what to expect of a pool: runs the one that a file declares against modelled providers, in virtual time" / "预测号池的表现：在虚拟时间中，用模拟的上游运行文件所声明的号池";
        about_file: "TOML or JSON file; - is standard input" / "TOML 或 JSON 文件；- 表示标准输入";
        about_seed: "Where chance begins, in place of the file's seed" / "随机数种子，代替文件中的 seed";
        about_json: "Write JSON" / "输出 JSON";
        bad_seed: "Please give a whole number from 0." / "请给出不小于 0 的整数。";
        faults(count: usize): "faults: {count}; nothing was simulated" / "错误 {count} 处，未进行模拟";

        warm_up_too_long: "The warm-up must end before the simulation does; give less than “seconds”." / "预热必须早于模拟结束；请使用小于 seconds 的值。";
        after_the_end: "This is not before the end of the simulation; give less than “seconds”." / "此时间不早于模拟结束；请使用小于 seconds 的值。";
        ends_before_it_begins: "This is not after “from_seconds”; give more, or leave it out." / "此时间不晚于 from_seconds；请使用更大的值，或省略此项。";
        list_length(least: usize, most: usize): "Please give {least} to {most} of them." / "数量应为 {least} 到 {most} 个。";
        unknown_model(model: &str, known: &str): "No channel has the model “{model}”. There are: {known}." / "没有渠道提供模型“{model}”。现有模型：{known}。";
        model_twice: "This model stands here twice; leave one of them out." / "此模型重复出现，请去掉一个。";
        account_too_large(keys: u32): "The channel has only {keys} keys; give at most as many." / "该渠道只有 {keys} 个密钥，请勿超过此数。";
        limit_twice(other: &str): "{other} is a limit of the same kind and span; leave one of them out." / "与 {other} 的种类和时长相同，请去掉其中一个。";
        only_for(what: &str): "This belongs to “{what}” only; leave it out." / "此项仅用于“{what}”，请去掉。";
        not_for_days: "A day has no other span; leave this out." / "按日计数时没有别的时长，请去掉此项。";
        unknown_zone: "This is no time zone; write its IANA name, such as America/Los_Angeles." / "没有这个时区；请使用 IANA 名称，例如 America/Los_Angeles。";
        one_way_to_ask: "Please give exactly one of agents, calls_per_minute and burst_calls." / "agents、calls_per_minute 和 burst_calls 必须且只能给出一个。";
        calls_per_minute: "Please give 0.001 to 1000000 calls a minute." / "每分钟调用数应为 0.001 到 1000000。";
        too_much(calls: u64, lanes: u64, most: u64): "This may come to {calls} calls on {lanes} pairs of key and model, which takes too long: with so many pairs at most {most} calls are simulated. Give fewer seconds, calls or keys." / "这最多可能产生 {calls} 次调用，涉及 {lanes} 个密钥与模型的组合，耗时过长：组合数如此之多时最多模拟 {most} 次调用。请减少时长、调用数或密钥数。";
        cannot_be(words: &str): "This cannot be simulated: {words}." / "无法模拟：{words}。";
        ended_early(second: u64): "the simulation came to too many events, and was ended in second {second}; give fewer seconds, calls or keys" / "模拟的事件过多，已在第 {second} 秒中止；请减少时长、调用数或密钥数";

        time: "Simulated" / "模拟时长";
        time_is(seconds: &str, warm_up: &str): "{seconds} s; throughput is measured from second {warm_up} on" / "{seconds} 秒；吞吐量自第 {warm_up} 秒起统计";
        demand: "Demand" / "需求";
        quota: "Quota" / "配额";
        throughput: "Throughput" / "吞吐量";
        per_minute(calls: &str): "{calls} calls a minute" / "每分钟 {calls} 次";
        per_minute_of(calls: &str, share: &str): "{calls} calls a minute, {share} of the quota" / "每分钟 {calls} 次，占配额的 {share}";
        no_quota: "without a limit" / "无限制";
        agents_follow: "agents ask again when they are answered" / "智能体得到回答后再次发起调用";
        and_agents(demand: &str): "{demand}, and agents that ask again when they are answered" / "{demand}，另有得到回答后再次发起调用的智能体";
        calls: "Calls" / "调用";
        answered: "Answered" / "已回答";
        refused: "Refused" / "被拒绝";
        refused_late(share: &str, late: &str): "{share}; after waiting for more than a second: {late}" / "{share}；其中等待超过一秒后被拒绝：{late}";
        failed: "Failed" / "失败";
        cut_off: "Cut off by the restart" / "因重启中断";
        under_way: "Under way at the end" / "结束时仍在进行";
        why: "Reasons" / "原因";
        reason_limits: "limits" / "限额";
        reason_resting: "resting" / "休息";
        reason_busy: "answers awaited" / "等待回答";
        reason_too_large: "too large" / "超出限额大小";
        reason_tried: "everything was tried" / "已全部尝试";
        reason_nobody: "no candidate" / "无候选";
        waits: "Waits" / "等待";
        waits_are(half: &str, most: &str, longest: &str): "half at most {half}, 95 % at most {most}, the longest {longest}" / "50% 不超过 {half}，95% 不超过 {most}，最长 {longest}";
        line: "Longest line" / "最长队列";
        upstream: "Upstream" / "上游";
        upstream_is(attempts: &str, limited: &str, faults: &str): "attempts: {attempts}, 429s: {limited}, other faults: {faults}" / "尝试 {attempts} 次，429 共 {limited} 次，其他错误 {faults} 次";
        token: "Token" / "令牌";
        share: "Share" / "份额";
        unserved: "Refused or failed" / "拒绝或失败";
        channel: "Channel" / "渠道";
        accepted: "Accepted" / "已接受";
        limited: "429s" / "429";
        faults_heading: "Other faults" / "其他错误";

        advise_demand(over: &str, unserved: &str): "Demand exceeds the quota by {over}: {unserved} of the calls cannot be served, whatever the gateway does." / "需求超出配额 {over}：无论网关如何调度，都有 {unserved} 的调用无法满足。";
        advise_model(model: &str, over: &str, unserved: &str): "Demand for {model} exceeds what its channels allow by {over}: {unserved} of all calls cannot be served, whatever the gateway does." / "对 {model} 的需求超出其渠道所允许的 {over}：无论网关如何调度，全部调用中都有 {unserved} 无法满足。";
        advise_used_up(unserved: &str): "The quota was used up before the measuring began: {unserved} of the calls cannot be served, whatever the gateway does." / "统计开始前配额已用尽：无论网关如何调度，都有 {unserved} 的调用无法满足。";
        advise_bursts(share: &str): "{share} of the calls are refused for limits although the quota would do on average: more come at once than the windows hold. A longer deadline_ms, more keys or a channel to spill to would help." / "平均而言配额足够，但仍有 {share} 的调用因限额被拒绝：短时间内到达的调用超出了窗口容量。可延长 deadline_ms、增加密钥，或增加可溢出的渠道。";
        advise_declare(channel: &str, count: &str): "Learning the limits of {channel} costs {count} refusals by its provider: declare them." / "学习 {channel} 的限额产生了 {count} 次上游拒绝：请直接声明限额。";
        advise_correct(channel: &str, count: &str): "{channel} is declared with more than its provider allows, which costs {count} refusals by it: declare what is true." / "{channel} 声明的限额高于上游实际允许的值，产生了 {count} 次上游拒绝：请声明真实的限额。";
        advise_spare(share: &str): "Demand is only {share} of the quota: the pool has room for more." / "需求仅为配额的 {share}：号池还有余量。";
        advise_faults(count: &str): "{count} calls found nobody who could serve them: another channel for the same models would." / "有 {count} 次调用找不到可用的渠道：请为相同的模型再添加一个渠道。";
    }
}
