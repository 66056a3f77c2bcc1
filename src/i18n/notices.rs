//! Notifications: what messages say, and the page of those who get them.

use super::texts;

texts! {
    /// Notifications: messages, and the pages of their targets.
    Notices {
        // Messages.
        models_appeared(channel: &str, count: &str, names: &str): "{channel}: {count} new models: {names}" / "{channel}：新增 {count} 个模型：{names}";
        models_changed(channel: &str, count: &str, names: &str): "{channel}: {count} models changed: {names}" / "{channel}：{count} 个模型有变更：{names}";
        models_vanished(channel: &str, count: &str, names: &str): "{channel}: {count} models are gone: {names}" / "{channel}：{count} 个模型已下线：{names}";
        key_invalid(channel: &str, key: &str): "{channel}: the provider refuses the key {key}" / "{channel}：提供商拒绝密钥 {key}";
        left_out(count: usize): "{count} more events are not listed here." / "另有 {count} 个事件未在此列出。";
        test_text: "This is a test message of OnePool." / "这是 OnePool 的测试消息。";

        // Kinds of events.
        kind_models_appeared: "Models appeared" / "模型新增";
        kind_models_changed: "Models changed" / "模型变更";
        kind_models_vanished: "Models are gone" / "模型下线";
        kind_key_invalid: "A key became invalid" / "密钥失效";

        // The pages.
        title: "Notifications" / "通知";
        intro: "Who is told of what happens in the pool. Events of a moment go out in one message, and messages to one target are a minute apart." / "设置号池发生变化时通知谁。同一时段的事件合并为一条消息，发往同一目标的消息至少间隔一分钟。";
        link: "Notifications: be told of new models and invalid keys" / "通知：新增模型和密钥失效时提醒您";
        empty_title: "Nobody is notified yet" / "尚未设置通知";
        empty_text: "Add a webhook to be told of new, changed and vanished models, and of keys that became invalid." / "添加 Webhook，即可在模型新增、变更、下线或密钥失效时收到通知。";
        add: "Add a webhook" / "添加 Webhook";
        new_title: "New webhook" / "新建 Webhook";
        address: "Address" / "地址";
        events: "Events" / "事件";
        last_delivery: "Last delivery" / "最近一次发送";
        never_sent: "none yet" / "尚无";
        delivered: "delivered" / "已送达";
        not_delivered: "failed" / "失败";
        name_hint: "For you only." / "仅供您识别。";
        url: "Webhook address" / "Webhook 地址";
        url_hint: "Messages are posted here as JSON. Only the host is shown later, since such addresses often hold a secret." / "消息以 JSON 格式 POST 到此地址。此类地址常含机密，之后只显示主机。";
        url_kept(host: &str): "Left empty, the address at {host} stays." / "留空则保留 {host} 上的现有地址。";
        header: "Header of the secret" / "机密所用的请求头";
        header_hint(usual: &str): "{usual} unless you name another." / "不填则使用 {usual}。";
        secret: "Secret" / "机密";
        secret_hint: "Sent in the header below, so that the receiver knows who posts." / "通过下方的请求头发送，供接收方确认来源。";
        secret_kept: "Left empty, the secret stays." / "留空则保留现有机密。";
        secret_remove: "Remove the secret" / "移除机密";
        secret_again: "The address is on another host: give the secret again, or remove it." / "地址换了主机：请重新填写机密，或将其移除。";
        secret_wrong(max: usize): "A header cannot carry this: at most {max} characters, in one line, of the Latin alphabet." / "请求头无法携带此内容：最多 {max} 个字符，须为单行英文字符。";
        header_wrong: "Give the name of a header that is not used otherwise, such as X-Secret." / "请填写未被占用的请求头名称，如 X-Secret。";
        choose_events: "Choose at least one event." / "请至少选择一种事件。";
        language: "Language of the texts" / "消息语言";
        language_wrong: "Give `en` or `zh`." / "请填写 `en` 或 `zh`。";
        allow_private: "The address may be on a private network" / "允许内网地址";
        allow_private_hint: "Needed for receivers on this machine or in your network." / "接收方在本机或内网时需要启用。";
        enabled_hint: "Off: nothing is sent." / "停用后不再发送。";
        url_wrong: "Give an address that begins with https:// or http://." / "请填写以 https:// 或 http:// 开头的地址。";
        url_with_user: "Leave name and password out of the address; use the secret for that." / "地址中请勿包含用户名和密码，请改用机密。";
        url_private: "This address is on a private or loopback network; allow that if it is meant." / "此地址位于内网或本机；如确需使用，请启用“允许内网地址”。";
        too_many(most: i64): "There are {most} targets already; delete one first." / "通知目标已达 {most} 个，请先删除一个。";
        test_ok(name: &str, detail: &str): "“{name}” took the test message: {detail}." / "“{name}”已接收测试消息：{detail}。";
        test_failed(name: &str, detail: &str): "“{name}” did not take the test message: {detail}" / "“{name}”未接收测试消息：{detail}";
        send_test: "Send a test message" / "发送测试消息";
        delete_title(name: &str): "Delete “{name}”?" / "删除“{name}”？";
        delete_text: "It gets no more messages. Its address and secret are erased." / "之后不再向其发送消息，其地址和机密将被清除。";
    }
}
