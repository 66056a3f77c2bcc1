//! The settings page.

use super::texts;

texts! {
    /// The settings page.
    Settings {
        title: "Settings" / "设置";
        intro: "These take effect at once, for calls that begin from then on." / "保存后立即生效，适用于此后开始的调用。";
        default_is(value: &str): "Default: {value}" / "默认值：{value}";
        default_is_none: "Default: none" / "默认值：无";
        locked(name: &str): "Locked: {name} is set in the environment or by a flag. Change it there and restart." / "已锁定：{name} 由环境变量或命令行参数设定。请在该处修改后重启。";
        at_start_title: "Set at the start" / "启动时设定";
        at_start_intro: "These come from the environment or from flags; a change needs a restart." / "这些设置来自环境变量或命令行参数，修改后需要重启。";
        setting: "Setting" / "设置项";
        value: "Value" / "值";
        source: "Comes from" / "来源";
        source_given: "environment or flag" / "环境变量或参数";
        source_default: "default" / "默认值";
        is_set: "set" / "已设置";
        is_not_set: "not set" / "未设置";
        unit_d: "days" / "天";
        unit_s: "s" / "秒";
        unit_ms: "ms" / "毫秒";
        bad_switch: "Please choose on or off." / "请选择启用或停用。";
        bad_url: "Please give an address such as https://pool.example.com, without a query." / "请输入形如 https://pool.example.com 的地址，不带查询参数。";
        bad_address: "Please give an address and a port, such as 127.0.0.1:3000." / "请输入地址和端口，例如 127.0.0.1:3000。";
        bad_networks: "Please give addresses or networks separated by commas, such as 172.16.0.0/12." / "请输入以逗号分隔的地址或网段，例如 172.16.0.0/12。";
        bad_zone: "Please give an IANA time zone such as Asia/Shanghai, or system." / "请输入 IANA 时区（例如 Asia/Shanghai）或 system。";
        bad_choice(words: &str): "Please give one of: {words}." / "请从以下选项中选择：{words}。";
    }
}
