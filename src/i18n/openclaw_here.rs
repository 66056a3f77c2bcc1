//! OpenClaw on the same machine: `onepool openclaw apply`, `status` and `probe`.

use super::texts;

texts! {
    /// OpenClaw on the same machine.
    OpenClawHere {
        // Help.
        about_apply: "Write the export into the configuration of OpenClaw on this machine, by its own command" / "通过 OpenClaw 自己的命令，把导出内容写入本机 OpenClaw 的配置";
        about_status: "Tell whether the configuration of OpenClaw on this machine is in step with the pool" / "检查本机 OpenClaw 的配置与服务是否一致";
        about_probe: "Ask every model as OpenClaw's own probe would; each is one call, charged to the token" / "按 OpenClaw 自带的探测方式逐个请求模型；每个模型一次调用，计入令牌额度";
        about_program: "The program openclaw [default: the first one on PATH]" / "openclaw 程序 [默认：PATH 中的第一个]";
        about_dry_run: "Show what would change, and have OpenClaw check it, without writing anything" / "显示将发生的更改并让 OpenClaw 检查，但不写入";
        about_restart: "Restart OpenClaw's gateway afterwards; work that runs comes to its end first" / "完成后重启 OpenClaw 网关；进行中的工作会先完成";
        about_probe_model: "A model to ask; may be repeated; none: all that the token may use" / "要请求的模型；可重复；不设置表示令牌可用的全部模型";
        about_probe_timeout: "How long each call may take, in milliseconds (8000 by default, as OpenClaw's probe)" / "每次调用的时限，毫秒（默认 8000，与 OpenClaw 的探测相同）";
        about_probe_concurrency: "How many models are asked at a time (4 by default)" / "同时请求的模型数（默认 4）";

        // What stops it.
        absent: "OpenClaw is not on this process's PATH. Name it with --openclaw PATH, or run `onepool openclaw export` and apply that where OpenClaw is." / "本进程的 PATH 中没有 OpenClaw。请用 --openclaw PATH 指定，或运行 `onepool openclaw export` 后到 OpenClaw 所在的机器上应用。";
        no_program(path: &str): "{path} is no file that can be run." / "{path} 不是可执行文件。";
        late(command: &str): "`openclaw {command}` did not end in time, and was asked to end." / "`openclaw {command}` 未在时限内结束，已请求其退出。";
        too_old(command: &str): "This release of OpenClaw has no `openclaw {command}`. Update OpenClaw, or merge the output of `onepool openclaw export` into its file by hand." / "此版本的 OpenClaw 没有 `openclaw {command}`。请更新 OpenClaw，或手动合并 `onepool openclaw export` 的输出。";
        failed(command: &str, text: &str): "`openclaw {command}` failed: {text}" / "`openclaw {command}` 失败：{text}";
        invalid(path: &str, text: &str): "OpenClaw does not accept its present configuration {path}: {text}. Correct it first; `openclaw doctor --fix` migrates old files." / "OpenClaw 不接受其现有配置 {path}：{text}。请先更正；`openclaw doctor --fix` 可迁移旧文件。";
        refused(text: &str): "OpenClaw refuses the change: {text}. Its configuration is as it was." / "OpenClaw 拒绝了更改：{text}。其配置保持不变。";
        no_copy(path: &str, text: &str): "{path} cannot be copied before the change: {text}. Nothing was changed." / "无法在更改前复制 {path}：{text}。没有进行任何更改。";
        restored(text: &str): "OpenClaw does not accept the changed configuration: {text}. It was put back as it was." / "OpenClaw 不接受更改后的配置：{text}。已恢复原配置。";
        not_restored(text: &str, reason: &str, copy: &str): "OpenClaw does not accept the changed configuration: {text}. It could not be put back: {reason}. Copy {copy} over it." / "OpenClaw 不接受更改后的配置：{text}。恢复失败：{reason}。请用 {copy} 覆盖它。";
        not_restarted(text: &str): "The configuration was changed, but the gateway did not restart: {text}. Run `openclaw gateway restart`." / "配置已更改，但网关未能重启：{text}。请运行 `openclaw gateway restart`。";

        // Apply.
        program: "OpenClaw" / "OpenClaw";
        configuration: "Configuration" / "配置文件";
        fresh: "(not there yet)" / "（尚不存在）";
        token: "Token" / "令牌";
        model(name: &str): "model {name}" / "模型 {name}";
        hidden_key: "OpenClaw does not show the key that it has, so it is written again." / "OpenClaw 不显示现有的密钥，因此会重新写入。";
        nothing_to_change: "OpenClaw's configuration is as the export says: nothing to change." / "OpenClaw 的配置与导出内容一致，无需更改。";
        question(changes: usize): "Change OpenClaw's configuration (changes: {changes})?" / "对 OpenClaw 的配置进行这 {changes} 项更改？";
        would_apply(changes: usize): "OpenClaw accepts this (changes: {changes}). Nothing was written." / "OpenClaw 接受这 {changes} 项更改。没有写入任何内容。";
        applied(changes: usize): "Changes made: {changes}. OpenClaw accepts its configuration." / "已进行 {changes} 项更改，OpenClaw 接受其配置。";
        copy(path: &str): "The configuration before: {path}" / "更改前的配置：{path}";
        gateway_reloads: "A running gateway takes the change over by itself; --restart restarts it." / "运行中的网关会自动采用更改；--restart 可重启它。";
        restarted: "OpenClaw's gateway was asked to restart." / "已请求 OpenClaw 网关重启。";

        // Status.
        state_ok: "ok" / "正常";
        state_differs: "differs" / "不一致";
        state_note: "note" / "说明";
        in_step: "OpenClaw is in step with the pool." / "OpenClaw 与服务一致。";
        out_of_step(count: usize): "OpenClaw is not in step with the pool; differences: {count}." / "OpenClaw 与服务不一致：{count} 处不同。";
        run_apply: "Run `onepool openclaw apply`." / "请运行 `onepool openclaw apply`。";
        found_program(path: &str): "OpenClaw is {path}." / "OpenClaw 位于 {path}。";
        config_valid(path: &str): "OpenClaw accepts its configuration {path}." / "OpenClaw 接受其配置 {path}。";
        config_absent(path: &str): "OpenClaw has no configuration yet; it would be {path}." / "OpenClaw 尚无配置，其位置应为 {path}。";
        provider_there(id: &str): "The provider {id} is there." / "服务商 {id} 已配置。";
        provider_missing(id: &str): "The provider {id} is not there." / "没有服务商 {id}。";
        no_base_url: "The provider has no base URL." / "服务商没有接口地址。";
        url_answers(url: &str): "A server answers at {url}, and takes the token." / "{url} 有响应，并接受该令牌。";
        url_alive(url: &str): "A server answers at {url}." / "{url} 有响应。";
        url_refuses(url: &str, status: u16): "The server at {url} answers {status} to the token." / "{url} 对该令牌返回 {status}。";
        url_refuses_remedy: "Another server may listen there, or this token may not come from this address." / "那里可能是另一个服务，或此令牌不允许从该地址访问。";
        url_silent(url: &str, reason: &str): "Nothing answers at {url}: {reason}." / "{url} 没有响应：{reason}。";
        url_silent_remedy: "Start the server, or give the address where OpenClaw reaches it: `onepool openclaw apply --url URL`." / "请启动服务，或指定 OpenClaw 可访问的地址：`onepool openclaw apply --url URL`。";
        token_known(name: &str): "The token is {name}." / "令牌为 {name}。";
        token_off(name: &str): "The token {name} is switched off." / "令牌 {name} 已停用。";
        token_off_remedy: "Switch it on (`onepool tokens enable`), or apply another one with --token." / "请启用它（`onepool tokens enable`），或用 --token 应用其他令牌。";
        token_ended(name: &str): "The token {name} has ended." / "令牌 {name} 已过期。";
        token_ended_remedy: "Give it another end (`onepool tokens edit`), or apply another one with --token." / "请修改其到期时间（`onepool tokens edit`），或用 --token 应用其他令牌。";
        token_replaced(name: &str): "The value of the token {name} was replaced; the one that OpenClaw has works for a grace time only." / "令牌 {name} 的值已更换；OpenClaw 使用的旧值仅在宽限期内有效。";
        token_unknown: "The key that OpenClaw has is no token of this pool." / "OpenClaw 使用的密钥不是本服务的令牌。";
        token_missing: "The provider has no key." / "服务商没有密钥。";
        token_variable(name: &str): "The key is in the environment variable {name}, which is not set here; what OpenClaw finds there cannot be told." / "密钥位于环境变量 {name}，而此处没有设置；无法得知 OpenClaw 读到的值。";
        token_hidden: "OpenClaw does not show the key that it has." / "OpenClaw 不显示现有的密钥。";
        token_generic(name: &str): "The token {name} has the generic client profile; with the profile OpenClaw it falls back to its next model at once when one is exhausted." / "令牌 {name} 的客户端类型为“通用”；改为 OpenClaw 后，模型额度用尽时它会立即切换到下一个模型。";
        token_generic_remedy(name: &str): "Run `onepool tokens edit {name} --profile openclaw`." / "请运行 `onepool tokens edit {name} --profile openclaw`。";
        models_same(count: usize): "All {count} models stand there with their limits." / "{count} 个模型及其限制均一致。";
        models_missing(names: &str): "The pool has models that OpenClaw does not know: {names}." / "服务提供而 OpenClaw 没有的模型：{names}。";
        models_extra(names: &str): "OpenClaw has models that the pool does not serve to this token: {names}." / "OpenClaw 有而服务不向此令牌提供的模型：{names}。";
        models_changed(names: &str): "Limits, price or abilities of models differ: {names}." / "限制、价格或能力不一致的模型：{names}。";
        media_same: "The media part is as the export says." / "媒体部分与导出内容一致。";
        media_differs(paths: &str): "The media part differs: {paths}." / "媒体部分不一致：{paths}。";
        use_served(use_: &str, name: &str): "{use_}: {name} is served." / "{use_}：{name} 可用。";
        use_unserved(use_: &str, name: &str): "{use_}: {name} is not served to this token." / "{use_}：{name} 不向此令牌提供。";
        use_unlisted(use_: &str, name: &str): "{use_}: {name} is not among the provider's models." / "{use_}：{name} 不在服务商的模型列表中。";
        use_elsewhere(name: &str): "OpenClaw's primary model is {name}, which is not of this pool." / "OpenClaw 的主模型是 {name}，不属于本服务。";
        no_primary: "OpenClaw has no primary model of its own choice." / "OpenClaw 没有指定主模型。";
        allowlist_fine: "OpenClaw's list of allowed models holds all models of the pool." / "OpenClaw 的允许列表包含本服务的全部模型。";
        allowlist_shut(id: &str, count: usize): "OpenClaw allows only the models on its list, so {count} models of {id} cannot be chosen with /model." / "OpenClaw 只允许列表中的模型，因此 {id} 的 {count} 个模型无法用 /model 选择。";
        allowlist_remedy(id: &str): "Add \"{id}/*\" to agents.defaults.modelPolicy.allow." / "请在 agents.defaults.modelPolicy.allow 中加入 \"{id}/*\"。";
        allowlist_old_remedy(id: &str): "Add \"{id}/*\": {{}} to agents.defaults.models, which this file has from an earlier release." / "请在 agents.defaults.models（由旧版本留下）中加入 \"{id}/*\": {{}}。";

        // Probe.
        nobody_answers(url: &str, reason: &str): "No server answers at {url}: {reason}. Start it with `onepool serve`, or name its address with --url." / "{url} 没有服务响应：{reason}。请用 `onepool serve` 启动，或用 --url 指定地址。";
        probing(models: usize, token: &str): "Asking {models} models with the token {token}; each is one call, charged to it." / "正在用令牌 {token} 请求 {models} 个模型；每个一次调用，计入其额度。";
        probed_well(count: usize): "All {count} models answer as OpenClaw wants it." / "{count} 个模型的响应均符合 OpenClaw 的要求。";
        probed_badly(bad: usize, count: usize): "{bad} of {count} models do not answer as OpenClaw wants it." / "{count} 个模型中有 {bad} 个的响应不符合 OpenClaw 的要求。";
        col_model: "Model" / "模型";
        col_result: "Result" / "结果";
        col_latency: "Latency" / "耗时";
        col_detail: "What it says" / "说明";
    }
}
