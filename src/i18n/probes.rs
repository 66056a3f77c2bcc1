//! What models can do, and the scan that finds it out.

use super::texts;

texts! {
    /// Probes, on pages and in commands.
    Probes {
        // Kinds and verdicts.
        stream: "streams" / "流式";
        tools: "tools" / "工具";
        vision: "images" / "图像";
        json: "JSON" / "JSON";
        reasoning: "reasoning" / "推理";
        yes(what: &str): "{what}: yes" / "{what}：支持";
        accepted(what: &str): "{what}: taken, not proved" / "{what}：已接收，未证实";
        no(what: &str): "{what}: no" / "{what}：不支持";
        unclear(what: &str): "{what}: unclear" / "{what}：不明";
        by_probe(at: &str): "Probed {at}" / "{at} 探测";
        by_traffic(at: &str): "From calls of clients, {at}" / "来自客户端调用，{at}";
        outdated: "older than it is believed" / "已过期，仅供参考";
        first_token(ms: u32): "first content after {ms} ms" / "首个内容 {ms} 毫秒";
        speed(tokens: u32): "{tokens} tokens/s" / "每秒 {tokens} 个 token";
        abilities: "Proved" / "探测结果";
        never: "not probed" / "未探测";

        // The page.
        probe: "Probe" / "探测";
        probe_title(model: &str): "Find out what {model} can do: up to 4 calls, charged to a key's limits" / "探测 {model} 的能力：最多 4 次调用，计入密钥的限额";
        probed(model: &str, calls: usize): "Probed {model} with {calls} calls." / "已探测 {model}，共 {calls} 次调用。";
        nothing_open(model: &str): "What is known of {model} is young enough; nothing was asked." / "{model} 的已有结果仍然有效，未发起调用。";
        held_no_key: "Not everything was asked: no key is on that does not rest." / "未全部探测：没有已启用且可用的密钥。";
        held_limit: "Not everything was asked: a limit of every key is used up for now." / "未全部探测：所有密钥的限额暂时用尽。";
        held_share: "Not everything was asked: probes have had their share of the daily quota (PROBE_QUOTA_PERCENT)." / "未全部探测：探测已用完其每日额度比例（PROBE_QUOTA_PERCENT）。";
        unknown_model: "No channel lists this model any more." / "没有渠道再列出此模型。";

        // The scan.
        about: "Finds free models and tries out what they can do" / "查找免费模型并实测其能力";
        about_provider: "Only models of this provider: one of a channel, such as openrouter, or the vendor before the slash, such as qwen" / "只看此服务商的模型：渠道的服务商（如 openrouter）或斜杠前的厂商（如 qwen）";
        about_channel: "Only models of this channel" / "只看此渠道的模型";
        about_min_params: "Only models with at least so many billion parameters, as far as their name tells" / "只看参数量不少于此值（十亿）的模型，以名称所示为准";
        about_max_age_days: "Only models that came out within so many days; those of unknown age are left out" / "只看在此天数内发布的模型；发布时间未知的不计";
        about_max_candidates: "The most models that are tried out (6 by default)" / "最多实测的模型数（默认 6）";
        about_timeout: "How long each call may take, in milliseconds (12000 by default)" / "每次调用的时限，毫秒（默认 12000）";
        about_concurrency: "How many models are tried out at a time (3 by default)" / "同时实测的模型数（默认 3）";
        about_no_probe: "Only list the models with what is known of them; makes no call" / "只列出模型及已知信息，不发起调用";
        about_no_input: "Never ask; takes the usual choice" / "不提问，采用默认选择";
        about_set_default: "Put the best chosen model at the head of the chain auto" / "将所选的最佳模型置于回退链 auto 的首位";
        about_set_image: "Put the best chosen model that sees images at the head of the chain auto:vision" / "将所选的最佳图像模型置于回退链 auto:vision 的首位";
        about_quota_percent: "The most that probes take of a daily quota for this scan, in percent, in place of the setting" / "本次扫描中探测最多占用的每日额度百分比，代替设置值";
        about_fresh: "Try out again also what is known from the last days" / "近几天已知的结果也重新实测";
        params_wrong: "Give a number of billions, such as 7 or 1.5." / "请填写以十亿为单位的数值，例如 7 或 1.5。";
        count_wrong(least: u32, most: u32): "Give a whole number from {least} to {most}." / "请填写 {least} 到 {most} 之间的整数。";
        plan(models: usize, calls: usize): "{models} models are to be tried out, with up to {calls} calls." / "将实测 {models} 个模型，最多 {calls} 次调用。";
        plan_known(models: usize): "{models} models are known already; they cost nothing." / "{models} 个模型已有结果，无需调用。";
        plan_share(calls: usize, who: &str, max: u64, used: u64, left: u64): "{calls} of them count against {who}: {max} calls a day, {used} used; probes may make {left} more today." / "其中 {calls} 次计入{who}：每日 {max} 次，已用 {used} 次；今天探测还可使用 {left} 次。";
        plan_free(calls: usize, who: &str): "{calls} of them go to {who}, of which no daily quota is known." / "其中 {calls} 次发往{who}，未知有每日额度。";
        plan_short: "That is less than the scan needs. What does not fit is not asked; --quota-percent allows more." / "不足以完成扫描。超出部分不会调用；可用 --quota-percent 放宽。";
        plan_no_key(who: &str): "{who} has no key that is on and does not rest; its models are only listed." / "{who} 没有已启用且可用的密钥，其模型仅列出。";
        quota_of(channel: &str, scope: &str): "{channel} ({scope})" / "{channel}（{scope}）";
        scope_key: "one key" / "单个密钥";
        scope_group(group: &str): "account {group}" / "账户 {group}";
        scope_model(model: &str): "the model {model}" / "模型 {model}";
        scope_channel: "the whole channel" / "整个渠道";
        go_on: "Make these calls?" / "是否发起这些调用？";
        progress(done: usize, total: usize, model: &str): "[{done}/{total}] {model}" / "[{done}/{total}] {model}";
        none: "No free model is known that fits. `onepool refresh` asks the upstreams." / "没有已知的符合条件的免费模型。可用 `onepool refresh` 查询上游。";
        heading_text: "Models" / "模型";
        heading_image: "Models that see images" / "能识别图像的模型";
        col_number: "#" / "#";
        col_image: "Images" / "图像";
        col_tools: "Tools" / "工具";
        col_context: "Context" / "上下文";
        col_params: "Parameters" / "参数量";
        word_yes: "yes" / "是";
        word_no: "no" / "否";
        word_accepted: "taken" / "已接收";
        word_unclear: "unclear" / "不明";
        took(ms: u32): "yes, {ms} ms" / "是，{ms} 毫秒";
        calls_made(calls: usize): "{calls} calls were made and charged." / "已发起并计费 {calls} 次调用。";
        choose(usual: &str): "Which models shall be offered? Numbers with commas, 0 for none; Enter takes {usual}:" / "要提供哪些模型？输入编号并以逗号分隔，0 表示不选；回车采用 {usual}：";
        choose_wrong(most: usize): "Give numbers from 1 to {most}, with commas between them." / "请输入 1 到 {most} 的编号，以逗号分隔。";
        no_answer: "Nobody answered." / "没有收到回答。";
        offered(models: usize): "{models} models are offered by their channels now." / "渠道现在提供这 {models} 个模型。";
        pinned(model: &str, chain: &str): "{model} stands at the head of {chain}." / "{model} 已置于 {chain} 首位。";
        nothing_to_pin(chain: &str): "No model was found fit for {chain}." / "没有适合 {chain} 的模型。";
        chosen_none: "Nothing was chosen; nothing is changed." / "未选择任何模型，没有更改。";
    }
}
