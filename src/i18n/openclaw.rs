//! The OpenClaw page.

use super::texts;

texts! {
    /// The OpenClaw page.
    OpenClaw {
        title: "OpenClaw" / "OpenClaw";
        intro: "Makes the part of openclaw.json that lets OpenClaw use this server: choose a token and its models." / "生成让 OpenClaw 使用本服务的 openclaw.json 片段：选择令牌和模型即可。";
        no_tokens: "OpenClaw needs a token of this server. Make one first." / "OpenClaw 需要一个本服务的令牌，请先创建。";
        choose: "Token and models" / "令牌与模型";
        token: "Token" / "令牌";
        models: "Models, in the order in which OpenClaw tries them" / "模型，按 OpenClaw 尝试的顺序排列";
        models_hint(fallbacks: usize): "The first is the primary model, the next {fallbacks} at most are its fallbacks; all of them can be chosen with /model." / "第一个为主模型，随后最多 {fallbacks} 个为备用模型；全部都可以用 /model 选择。";
        no_models: "No channel that is on serves a model that this token may use. Add a channel, or widen the token's scope." / "没有已启用的渠道提供此令牌可用的模型。请添加渠道或放宽令牌范围。";
        first: "primary" / "主模型";
        move_up(model: &str): "Move {model} up" / "上移 {model}";
        key: "Key in the file" / "文件中的密钥";
        key_reference: "A reference to the environment variable ONEPOOL_API_KEY" / "引用环境变量 ONEPOOL_API_KEY";
        key_literal: "The token's value itself (asks for your password)" / "直接写入令牌值（需确认密码）";
        show: "Show" / "生成";
        file: "openclaw.json" / "openclaw.json";
        file_hint: "Merge this into ~/.openclaw/openclaw.json, or use the command below." / "将其合并到 ~/.openclaw/openclaw.json，或使用下方命令。";
        needs_variable: "OpenClaw, and its gateway if it runs as a service, must find ONEPOOL_API_KEY in the environment." / "OpenClaw 及其作为服务运行的网关都必须能读到环境变量 ONEPOOL_API_KEY。";
        apply: "One command that applies it" / "一条命令即可应用";
        apply_hint: "Run it again whenever models change: it replaces the list of models and keeps everything else. It writes the token's value into OpenClaw's file. Add --dry-run --json to the end to look first." / "模型变化后再次运行即可：只替换模型列表，其余配置保持不变。它会把令牌值写入 OpenClaw 的配置文件。末尾加 --dry-run --json 可先预览。";
        set_variable: "Set the variable first" / "先设置环境变量";
        onboard: "A new OpenClaw" / "全新安装的 OpenClaw";
        onboard_hint: "Sets OpenClaw up with the primary model. Then run the command above for the other models and their true limits." / "先用主模型完成初始化，再运行上面的命令，添加其他模型及其真实限制。";
        trap_title: "If /model does not offer the models" / "如果 /model 中看不到这些模型";
        trap_text: "OpenClaw keeps a list of allowed models if your file has agents.defaults.models from an earlier version, or agents.defaults.modelPolicy.allow. Models of this server are not selectable then, although primary and fallbacks work. Add this entry to that list:" / "如果配置文件中有旧版本留下的 agents.defaults.models，或有 agents.defaults.modelPolicy.allow，OpenClaw 会把它当作允许列表：本服务的模型无法被选择，但主模型和备用模型仍可使用。请在列表中加入此项：";
        url_guessed: "The address is the one in your browser. If OpenClaw reaches this server under another one, set PUBLIC_URL." / "地址取自浏览器。若 OpenClaw 通过其他地址访问本服务，请设置 PUBLIC_URL。";
        profile_hint: "This token has the generic client profile. With the profile OpenClaw it falls back to its next model at once when one is exhausted." / "此令牌的客户端类型为“通用”。改为 OpenClaw 后，模型额度用尽时它会立即切换到下一个模型。";
        edit_token: "Edit the token" / "编辑令牌";
    }
}
