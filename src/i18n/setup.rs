//! The first steps: account, channel, token, first call.

use super::texts;

texts! {
    /// The first steps: account, channel, token, first call.
    Setup {
        title: "Set-up" / "初始化";
        steps_label: "Steps" / "步骤";
        step_account: "Account" / "账户";
        step_channel: "First channel" / "第一个渠道";
        step_token: "First token" / "第一个令牌";
        account_title: "Welcome. Who will run this server?" / "欢迎使用，请先创建管理账户";
        account_text: "This account manages channels, keys and tokens in the browser." / "该账户用于在浏览器中管理渠道、密钥和令牌。";
        next: "Continue" / "继续";
        skip: "Skip for now" / "暂时跳过";
        name_unsuitable: "Please use letters, digits and punctuation on one line." / "请只使用单行的文字、数字和标点。";
        link_title: "This link does not work" / "此链接无效";
        link_text: "A set-up link works once, and until the server is restarted." / "初始化链接只能使用一次，且在服务重启后失效。";
        link_remedy: "Open the link that the server printed at its last start. It is in the terminal, or in the container's output." / "请打开服务最近一次启动时输出的链接，可在终端或容器输出中找到。";
        channel_title: "Where do calls go?" / "请求发往哪里？";
        channel_text: "A channel is one upstream with its keys. Everything else about it can be set later." / "渠道是一个上游服务及其密钥，其余选项可稍后设置。";
        channel_name_hint: "For yourself, such as “OpenRouter”." / "供您自己辨认，例如 “OpenRouter”。";
        base_url: "Base URL" / "接口地址";
        base_url_hint: "As the vendor gives it, with or without /v1: https://api.example.com/v1" / "按服务商给出的填写，是否带 /v1 均可：https://api.example.com/v1";
        base_url_private: "This is a private or loopback address. If that is meant, tick “The upstream is in my own network” below." / "这是私有或回环地址。如确需使用，请勾选下方的“上游位于我的内部网络”。";
        keys: "Keys" / "密钥";
        keys_hint: "One or many, with any separator; lines of a .env file do too." / "可粘贴一个或多个，分隔符不限，也可直接粘贴 .env 文件的行。";
        keys_none: "There is no key in this text. Please paste at least one." / "未在文本中找到密钥，请至少粘贴一个。";
        models: "Models" / "模型";
        models_hint: "One per line. Leave it empty to fetch the upstream's list." / "每行一个。留空则从上游获取列表。";
        redirects_hint: "If you like, one per line: the name that programs ask for = the upstream's name." / "选填，每行一个：程序请求的名称 = 上游名称。";
        models_not_fetched(why: &str): "The upstream's list could not be fetched: {why} Type the models, one per line." / "无法获取上游的模型列表：{why} 请手动输入模型，每行一个。";
        models_empty: "The upstream lists no model. Please type the models, one per line." / "上游未列出任何模型，请手动输入，每行一个。";
        allow_private: "The upstream is in my own network" / "上游位于我的内部网络";
        allow_private_hint: "Needed for addresses such as 127.0.0.1 or 192.168.…, which are refused otherwise." / "上游地址为 127.0.0.1、192.168.… 等内网地址时需要开启，否则会被拒绝。";
        channel_made(keys: usize, models: usize): "The channel is ready: {keys} keys, {models} models." / "渠道已就绪：{keys} 个密钥，{models} 个模型。";
        token_title: "Who may call?" / "谁可以调用？";
        token_text: "A token is what a program presents to this server in place of a vendor's key." / "令牌是程序访问本服务时使用的凭证，代替服务商的密钥。";
        token_name_hint: "Such as the program's or the person's name." / "例如程序名或使用者的名字。";
        token_name_default: "first token" / "第一个令牌";
        token_create: "Create the token" / "创建令牌";
        done_title: "Make the first call" / "发起第一次调用";
        done_value: "Your token" / "您的令牌";
        done_value_hint: "Keep it like a password. It can be copied again on the token's page." / "请像密码一样保管。之后可在令牌页面再次复制。";
        done_value_hidden: "The token is no longer shown here. It can be copied again on its page, after confirming the password." / "此处不再显示令牌。可在令牌页面确认密码后再次复制。";
        to_token: "To the token's page" / "前往令牌页面";
        snippet_openclaw_hint: "Merge it into ~/.openclaw/openclaw.json. The OpenClaw page has the command that does it." / "合并到 ~/.openclaw/openclaw.json。OpenClaw 页面提供可直接执行的命令。";
        no_models: "No channel serves a model yet, so a call cannot succeed. Add a channel first." / "目前没有渠道提供模型，调用无法成功。请先添加渠道。";
        waiting: "Waiting for the first call …" / "正在等待第一次调用……";
        waiting_hint: "This turns green by itself." / "收到调用后会自动变绿。";
        call_arrived: "The first call was answered." / "第一次调用已成功应答。";
        call_detail(model: &str, channel: &str, ms: i64): "{model} through {channel}, {ms} ms" / "{model}，经由 {channel}，用时 {ms} 毫秒";
        call_failed: "A call arrived, but failed. Still waiting …" / "收到一次调用，但失败了。继续等待……";
        call_failed_detail(model: &str, status: i64, code: &str): "{model}: status {status}, {code}" / "{model}：状态 {status}，{code}";
        to_log: "See the usage log" / "查看用量日志";
        finish: "To the channels" / "前往渠道页面";
    }
}
