//! What is done to several rows of a list at a time.

use super::texts;

texts! {
    /// What is done to several rows of a list at a time.
    Chosen {
        label: "What to do with the chosen rows" / "对所选项的操作";
        all: "Select all on this page" / "全选本页";
        lead: "With the ticked rows:" / "对勾选的项：";
        count: "{} selected" / "已选 {} 项";
        pick(name: &str): "Select {name}" / "选择 {name}";
        delete: "Delete…" / "删除…";
        remove: "Remove…" / "移除…";
        none: "Nothing is selected. Tick the rows that you mean, then choose what to do with them." / "没有选中任何项。请先勾选，再选择要执行的操作。";
        too_many(chosen: usize, most: usize): "At most {most} at a time; {chosen} were selected, and nothing was changed." / "一次最多 {most} 项；选中了 {chosen} 项，未做任何更改。";
        too_many_tests(chosen: usize, most: usize): "At most {most} keys are tested at a time; {chosen} were selected, and none was tested." / "一次最多测试 {most} 个密钥；选中了 {chosen} 个，均未测试。";
        switched_on(count: usize): "Switched on: {count}." / "已启用 {count} 项。";
        switched_off(count: usize): "Switched off: {count}." / "已停用 {count} 项。";
        deleted(count: usize): "Deleted: {count}." / "已删除 {count} 项。";
        removed(count: usize): "Removed: {count}." / "已移除 {count} 项。";
        woken(count: usize): "Pauses and rests are over: {count}. The next calls may go there." / "已结束 {count} 项的暂停和休息，后续调用可以使用。";
        tested(good: usize, all: usize): "{good} of {all} keys are good." / "{all} 个密钥中 {good} 个可用。";
        some_failed(failed: usize): "Not done: {failed}; see below." / "未完成 {failed} 项，见下表。";
        result_title: "What came of it" / "执行结果";
        result: "Result" / "结果";
        back: "Back to the list" / "返回列表";
        not_found: "There is no such row, or no longer." / "没有这一项，或已不存在。";
        not_in_channel: "This channel has no such key, or no longer." / "此渠道没有这个密钥，或已不存在。";
        not_in_time: "Not tested: there was no time left, or no answer in time. Select it again." / "未测试：时间已用完，或未及时得到答复，请重新选择。";
        some_not_in_time(count: usize): "Not tested, because all together took too long: {count}." / "因总耗时过长，{count} 个未测试。";
        capture_kept: "Deleted, but its captured requests could not be erased; the server's log says why." / "已删除，但其抓取的请求未能清除；原因见服务日志。";
        delete_channels_title(count: usize): "Delete these channels ({count})?" / "删除这 {count} 个渠道？";
        delete_keys(count: usize): "Their keys are erased: {count}." / "其密钥将被清除：{count} 个。";
        delete_models: "Only these channels serve these models; nobody can call them afterwards:" / "以下模型仅由这些渠道提供，删除后将无法调用：";
        delete_nothing: "No model and no token depends on them alone." / "没有模型或令牌仅依赖它们。";
        delete_keys_title(count: usize, channel: &str): "Remove these keys of “{channel}” ({count})?" / "移除“{channel}”的这 {count} 个密钥？";
        delete_keys_text: "Their secrets are erased and cannot be brought back; the usage log keeps their labels. To stop them for a while, switch them off." / "其内容将被清除且无法恢复；用量日志会保留其标签。若只想暂停使用，请停用它们。";
        delete_last_keys: "No other key of the channel is switched on: it takes no calls afterwards." / "渠道没有其他启用的密钥：移除后将不再接收调用。";
        delete_tokens_title(count: usize): "Delete these tokens ({count})?" / "删除这 {count} 个令牌？";
        delete_tokens_text: "Their values stop working at once and are erased. Their calls stay in the usage log under their names. This cannot be undone; to stop them for a while, switch them off." / "令牌值立即失效并被清除，其调用记录仍以原名称保留在用量日志中。此操作无法撤销；若只想暂停使用，请停用它们。";
        delete_in_use: "Used in the last 7 days; the clients behind them will get 401:" / "以下令牌最近 7 天内使用过，其客户端此后将收到 401：";
        delete_unused: "None of them was used in the last 7 days." / "最近 7 天内均未使用。";
    }
}
