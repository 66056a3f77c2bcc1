//! The search over everything, and the keyboard.

use super::texts;

texts! {
    /// The search over everything, and the keyboard.
    Search {
        title: "Search" / "搜索";
        title_of(q: &str): "Search: {q}" / "搜索：{q}";
        field: "Search everything" / "全局搜索";
        placeholder: "Search" / "搜索";
        intro: "Type a part of a name: of a page, a setting, a channel, a key, a token, a model, a chain or a notification target. Several words narrow it down." / "输入名称的一部分即可查找页面、设置、渠道、密钥、令牌、模型、回退链或通知目标；多个词可缩小范围。";
        intro_ids: "Paste a request id or a trace id to get to the call, the last four characters of a key or token to get to it, or a whole key or token: its value is only compared, never kept or shown." / "粘贴请求编号或跟踪编号可直达对应调用；输入密钥或令牌的末四位可找到它；也可粘贴完整的密钥或令牌：其值仅用于比对，不会保存或显示。";
        found(count: usize): "{count} found" / "找到 {count} 项";
        nothing(q: &str): "Nothing is called “{q}”." / "没有找到“{q}”。";
        nothing_hint: "Try fewer letters or another word. What upstreams list but no channel offers is on the page of models; calls are in the usage log." / "请减少字数或换一个词。上游列出但渠道未提供的模型见“模型”页面，调用见“用量日志”。";
        no_such_value: "No key or token has this value." / "没有密钥或令牌使用此值。";
        value_found: "This value belongs to:" / "该值属于：";
        not_in_addresses: "This looks like a whole key or token. Addresses are kept by browsers and proxies, so nothing was looked up: type or paste it into the search field instead." / "这看起来是完整的密钥或令牌。浏览器和代理会记录地址，因此未执行查找：请改为在搜索框中输入或粘贴。";
        group_calls: "Calls" / "调用";
        group_pages: "Pages" / "页面";
        group_settings: "Settings" / "设置";
        group_channels: "Channels" / "渠道";
        group_keys: "Keys" / "密钥";
        group_tokens: "Tokens" / "令牌";
        group_models: "Models" / "模型";
        group_chains: "Chains" / "回退链";
        group_targets: "Notification targets" / "通知目标";
        group_prices: "Prices in your table" / "价格表";
        more(count: usize): "All {count}" / "全部 {count} 项";
        and_more(count: usize): "and {count} more" / "另有 {count} 项";
        key_of(channel: &str): "key of {channel}" / "{channel} 的密钥";
        served_by(count: usize): "offered by {count} channels" / "{count} 个渠道提供";
        served_by_one(channel: &str): "offered by {channel}" / "由 {channel} 提供";
        stands_for(model: &str): "→ {model}" / "→ {model}";
        managed: "managed chain" / "自动回退链";
        steps(count: usize): "{count} steps" / "{count} 步";
        call_of(token: &str, model: &str): "{token} · {model}" / "{token} · {model}";
        turn_of(token: &str): "turn of {token}" / "{token} 的一轮调用";
        in_all_models: "Look among all models that upstreams list" / "在上游列出的所有模型中查找";
        replaced_until: "replaced" / "已被替换";

        keys_title: "Keyboard shortcuts" / "键盘快捷键";
        keys_button: "Shortcuts" / "快捷键";
        keys_anywhere: "On every page" / "所有页面";
        keys_go: "Go to" / "前往";
        key_search: "Search everything" / "全局搜索";
        key_help: "Show these shortcuts" / "显示快捷键";
        key_new: "New, on pages that list things" / "在列表页面中新建";
        key_filter: "Filter the list of this page" / "筛选本页列表";
        key_escape: "Close this dialog; empty and leave the search" / "关闭对话框；清空并离开搜索框";
        keys_hint: "Not while you type in a field, nor together with Ctrl, Alt or Command." / "在输入框中输入时，以及同时按下 Ctrl、Alt 或 Command 时不生效。";
        keys_switch: "Shortcuts are on in this browser" / "在此浏览器中启用快捷键";
        close: "Close" / "关闭";
    }
}
