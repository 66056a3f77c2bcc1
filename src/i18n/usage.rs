//! The usage page.

use super::texts;

texts! {
    /// Usage per token, channel, key and model.
    Usage {
        title: "Usage" / "用量";
        group_by: "Group by" / "分组";
        by_token: "Token" / "令牌";
        by_channel: "Channel" / "渠道";
        by_key: "Key" / "密钥";
        by_model: "Model asked for" / "请求的模型";
        by_upstream: "Upstream model" / "上游模型";
        span(from: &str, to: &str, zone: &str): "{from} to {to} ({zone})" / "{from} 至 {to}（{zone}）";
        until_now: "now" / "现在";
        since_start: "the start" / "最初";
        own_period: "Own period" / "自定义时间范围";
        requests: "Requests" / "请求数";
        failed_of_them(failed: &str): "{failed} failed" / "失败 {failed}";
        success_rate: "Success rate" / "成功率";
        success_hint: "Calls that were answered completely, of all calls" / "完整返回的调用占全部调用的比例";
        without_retries: "Without retries" / "不计重试";
        without_retries_value(rate: &str): "{rate} without retries" / "不计重试 {rate}";
        without_retries_hint: "Calls that the first attempt answered completely, of all calls" / "首次尝试即完整返回的调用占全部调用的比例";
        tokens: "Tokens" / "Token";
        tokens_parts(prompt: &str, completion: &str, cached: &str): "prompt {prompt} (cached {cached}) · completion {completion}" / "输入 {prompt}（缓存 {cached}）· 输出 {completion}";
        estimated(count: &str): "≈: the counts of {count} requests are estimates" / "≈：其中 {count} 次请求的用量为估算";
        prompt: "Prompt" / "输入";
        completion: "Completion" / "输出";
        cached: "Cached" / "缓存";
        cost: "Cost" / "费用";
        first_token: "First token p50 / p95" / "首字 p50 / p95";
        total: "Total p50 / p95" / "总耗时 p50 / p95";
        errors: "Failures" / "失败";
        attempts: "Attempts (failed)" / "尝试（失败）";
        attempts_hint: "Upstream calls, those that another key rescued included" / "上游调用次数，包含由其他密钥补救的失败";
        attempts_value(all: &str, failed: &str): "{all} ({failed})" / "{all}（{failed}）";
        chart_title: "Requests" / "请求数";
        per_hour: "per hour" / "每小时";
        per_day: "per day" / "每天";
        per_month: "per month" / "每月";
        legend_answered: "answered" / "成功";
        legend_failed: "failed" / "失败";
        chart_summary(requests: &str, failed: &str): "Bar chart: {requests} requests, {failed} of them failed" / "柱状图：共 {requests} 次请求，其中失败 {failed} 次";
        bar_title(when: &str, requests: &str, failed: &str): "{when}: {requests} requests, {failed} failed" / "{when}：{requests} 次请求，失败 {failed} 次";
        chart_table: "Show as a table" / "以表格显示";
        when: "When" / "时间";
        empty: "No calls in this period." / "该时间范围内没有调用。";
        empty_button: "Show everything" / "查看全部";
        empty_ever: "No calls yet: sums show up here with the first one." / "还没有调用，首次调用后会在此显示汇总。";
        empty_ever_button: "Set up a client" / "配置客户端";
        none_channel: "(no channel)" / "（无渠道）";
        none_key: "(no key)" / "（无密钥）";
        none_upstream: "(no upstream)" / "（未请求上游）";
        others: "All others" / "其余全部";
    }
}
