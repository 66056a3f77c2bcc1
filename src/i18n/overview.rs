//! The overview.

use super::texts;

texts! {
    /// The overview: what the pool can do now, and how it did lately.
    Overview {
        title: "Overview" / "概览";
        live: "Live" / "实时";
        live_stale: "Not up to date: the server does not answer" / "数据未更新：服务器没有响应";
        now: "Right now" / "当前";
        in_theory(value: &str): "of {value} in theory" / "理论值 {value}";
        under_way: "Calls under way" / "进行中的调用";
        under_way_parts(waiting: &str, upstream: &str, answering: &str): "waiting {waiting} · at upstreams {upstream} · answering {answering}" / "排队 {waiting} · 等待上游 {upstream} · 返回中 {answering}";
        keys_ready: "Keys ready" / "可用密钥";
        keys_of(ready: &str, all: &str): "{ready} of {all}" / "{ready} / {all}";
        lately: "Last 24 hours" / "最近 24 小时";
        lately_hint: "The running hour and the 23 before it, as on the usage page." / "当前小时及之前 23 小时，与用量页一致。";
        all_usage: "Explore usage" / "查看用量";
        overhead: "Added by OnePool p50 / p95" / "OnePool 耗时 p50 / p95";
        overhead_hint: "What OnePool itself takes of an answered call, without the time in line and without upstreams" / "完整返回的调用中 OnePool 自身的耗时，不含排队和上游时间";
        overhead_calls(count: &str): "{count} calls of the last hour" / "最近一小时 {count} 次调用";
        overhead_none: "no call in the last hour" / "最近一小时没有调用";
        chart: "Requests per half hour" / "每半小时请求数";
        legend_answered: "answered" / "成功";
        legend_failed: "failed" / "失败";
        chart_summary(requests: &str, failed: &str): "Bar chart: {requests} requests, {failed} of them failed" / "柱状图：共 {requests} 次请求，其中失败 {failed} 次";
        bar_title(when: &str, requests: &str, failed: &str): "{when}: {requests} requests, {failed} failed" / "{when}：{requests} 次请求，失败 {failed} 次";
        chart_now: "now" / "现在";
        needs: "Keys that need a hand" / "需要处理的密钥";
        needs_none: "No key needs a hand." / "没有需要处理的密钥。";
        needs_all: "All keys" / "全部密钥";
        needs_more(count: usize): "{count} more" / "另有 {count} 个";
        key: "Key" / "密钥";
        reason: "Why" / "原因";
        until: "Until" / "截止";
        look: "Open" / "打开";
        nothing: "There are no channels yet. Add one, and see here what it can do." / "还没有渠道。添加一个渠道后，可在此查看其能力。";
        too_slow: "The database is busy: the numbers of the last 24 hours follow." / "数据库繁忙，最近 24 小时的数据稍后显示。";
        no_calls: "No calls yet in this time." / "这段时间还没有调用。";
        reload: "Reload" / "重新加载";
    }
}
