//! Ranking and the managed chains, on pages and in commands.

use super::texts;

texts! {
    /// The ranking's page, the commands `list` and `switch`, and why a score is what it is.
    Ranking {
        // The page and its parts.
        title: "Ranking" / "模型排名";
        intro: "The managed chains. Clients ask for these names; each chain is rebuilt from the ranking of the models that your channels offer." / "自动回退链。客户端可直接请求这些名称；每个链都根据各渠道所提供模型的排名自动重建。";
        tabs: "Managed chains, weights and names" / "自动回退链、权重与名称";
        about_auto: "For anything: every model that gives text, the best one first." / "通用：所有能输出文本的模型，最好的在前。";
        about_coding: "For programs: models that may call tools, by their published figures for coding where there are any." / "编程：可以调用工具的模型，优先依据公开的编程评测结果排序。";
        about_vision: "For images: models that are known to take them, by their published figures for images where there are any." / "图像：已知能接收图像的模型，优先依据公开的图像评测结果排序。";
        about_fast: "For quick answers: always with the weights of “fastest”." / "快速回答：始终使用“最快”的权重。";
        chain_on: "on" / "启用";
        chain_off: "off" / "停用";
        chain_off_hint: "Off: clients cannot ask for this name. This is what the chain would be." / "已停用：客户端无法请求此名称。以下是启用后的顺序。";
        hand_made: "A chain of this name was made by hand. It stays as it is, and calls go to it; delete or rename it to have it managed." / "已有手工建立的同名回退链，它保持不变，调用仍由它处理；删除或改名后才会由排名自动管理。";
        channels_model: "A channel offers a model of this name. Calls for it go there, and not to this chain." / "已有渠道提供同名模型，对该名称的调用会发往该渠道，而不是此回退链。";
        hand_made_link: "To the chain" / "查看该回退链";
        built_at(when: &str): "Built {when}" / "建立于 {when}";
        rebuild: "Rebuild now" / "立即重建";
        rebuilt_all: "The managed chains were rebuilt." / "自动回退链已重建。";

        // What the operator wants of a chain.
        wishes: "What is wanted" / "回退链设置";
        enabled: "Managed and on" / "启用自动管理";
        free_only: "Only models that cost nothing" / "仅使用免费模型";
        most_models: "At most so many models" / "模型数量上限";
        wishes_saved: "Saved, and the chain was rebuilt." / "已保存，并已重建回退链。";

        // The chain as it stands.
        chain_models(models: usize, channels: usize): "{models} models on {channels} channels" / "{models} 个模型，分布于 {channels} 个渠道";
        next_in_line: "next in line" / "候补";
        next_in_line_hint: "Behind the last model of the chain: no call goes there by this chain." / "排在回退链最后一个模型之后：此链的调用不会发往这里。";
        all_failing: "All that fits fails now. It stays in the chain, since an empty chain would refuse every call." / "所有符合条件的模型目前都在失败。为避免拒绝所有调用，它们仍保留在回退链中。";
        bad_files: "These files of names and figures cannot be used; what was in force before stays so:" / "以下名称或评测数据文件无法使用，之前的内容继续有效：";
        place: "Place" / "名次";
        model: "Model" / "模型";
        channels: "Channels" / "渠道";
        score: "Score" / "得分";
        score_of(points: u16): "Score {points} of 1000" / "得分 {points}（满分 1000）";
        keys(count: u32): "keys: {count}" / "密钥 {count} 个";
        more_channels(count: usize): "and {count} more channels" / "另有 {count} 个渠道";
        called(name: &str): "as {name}" / "名为 {name}";
        pinned: "pinned" / "置顶";
        moving: "changes" / "会变动";
        moving_hint: "The provider changes what this name stands for, so it is the same model at this provider alone." / "服务商会变更此名称所指的模型，因此只在该服务商内视为同一模型。";
        router: "chosen by the provider" / "由服务商选择";
        router_hint: "The provider chooses a model for each call, so no published figure holds for it." / "服务商为每次调用选择模型，因此没有适用的公开评测结果。";
        why: "Why this place" / "查看评分依据";
        pin: "Pin" / "置顶";
        unpin: "Unpin" / "取消置顶";
        to_top: "Move to the top" / "移到首位";
        pin_model(model: &str): "Pin {model}" / "将 {model} 置顶";
        unpin_model(model: &str): "Unpin {model}" / "取消置顶 {model}";
        to_top_model(model: &str): "Move {model} to the top" / "将 {model} 移到首位";
        was_put_first(model: &str, chain: &str): "{model} is at the top of {chain}." / "{model} 已位于 {chain} 的首位。";
        was_pinned(model: &str, chain: &str): "{model} is pinned in {chain}." / "已将 {model} 置顶于 {chain}。";
        was_unpinned(model: &str, chain: &str): "{model} is no longer pinned in {chain}." / "已取消 {model} 在 {chain} 中的置顶。";
        was_not_pinned(model: &str, chain: &str): "{model} was not pinned in {chain}." / "{model} 在 {chain} 中未置顶。";
        nothing_pinned(chain: &str): "Nothing is pinned in {chain}." / "{chain} 中没有置顶的模型。";
        all_unpinned(chain: &str): "Nothing is pinned in {chain} any more." / "已取消 {chain} 中的全部置顶。";
        pin_hint: "A pinned model stands in front of all others, whatever its score. A pin overrules what is unknown about a model, or that it costs something; it does not revive a model that is gone or that lacks what the chain is for." / "置顶的模型排在最前，不受得分影响。置顶可以忽略未知信息和费用，但不能让已失效或不具备所需能力的模型进入回退链。";
        pin_field: "Pin a model" / "置顶模型";
        pin_place: "Any name that a provider has for it" / "任一服务商使用的名称均可";
        no_such_model(name: &str): "No channel offers a model that is called “{name}”." / "没有渠道提供名为“{name}”的模型。";
        near_names(names: &str): "Similar names: {names}." / "相近的名称：{names}。";
        too_many_pins(most: usize): "At most {most} models may be pinned; unpin one first." / "最多可置顶 {most} 个模型，请先取消一个。";
        idle_pins: "Pinned, but without effect now" / "已置顶，但目前不起作用";
        idle_pins_text: "No offer fits these pins now. They are kept, and count again as soon as one does." / "目前没有渠道能提供这些置顶模型。置顶会保留，可用时自动恢复作用。";
        empty_title: "No model is in this chain" / "此回退链中没有模型";
        empty_text: "Add a channel, or look below at what is left out and why." / "请添加渠道，或查看下方未列入的模型及原因。";
        no_match: "No model of this chain is called like that." / "此回退链中没有名称匹配的模型。";
        search: "Search models" / "搜索模型";
        legend: "What a score is made of" / "得分构成";

        // Presets and components.
        weights: "Weights" / "权重";
        weights_intro: "A score is the weighted sum of five components, each from 0 to 1000 points. Only the proportions of the weights matter. What is unknown is told as unknown and never lifts a model." / "得分是五个分项（各 0 到 1000 分）的加权和，只看权重之间的比例。未知的内容会标明未知，不会抬高模型的得分。";
        weights_fast: "auto:fast always has the weights of “fastest”." / "auto:fast 始终使用“最快”的权重。";
        in_use: "in use" / "使用中";
        own_weights: "Your own weights" / "自定义权重";
        own_weights_hint: "From 0 (does not count) to 100." / "从 0（不计入）到 100。";
        use_preset: "Use" / "使用";
        use_preset_named(name: &str): "Use “{name}”" / "使用“{name}”";
        weights_saved: "The weights were saved, and the chains were rebuilt." / "权重已保存，并已重建回退链。";
        weight_wrong: "Please give a whole number from 0 to 100." / "请填写 0 到 100 之间的整数。";
        weights_zero: "One weight at least has to be above 0." / "至少一项权重需要大于 0。";
        balanced: "Balanced" / "均衡";
        balanced_about: "A bit of everything." / "各方面兼顾。";
        smartest: "Smartest" / "最聪明";
        smartest_about: "The most capable model, by published figures." / "依据公开评测结果，能力最强的模型优先。";
        fastest: "Fastest" / "最快";
        fastest_about: "The quickest answer, as measured here." / "依据本机测量，回答最快的模型优先。";
        most_reliable: "Most reliable" / "最可靠";
        most_reliable_about: "The fewest faults, as measured here." / "依据本机测量，出错最少的模型优先。";
        capability: "Capability" / "能力";
        reliability: "Reliability" / "可靠性";
        speed: "Speed" / "速度";
        context: "Context" / "上下文";
        quota: "Quota" / "额度";
        capability_about: "Published benchmarks. Unknown counts as 0: nobody guesses from a name." / "公开评测结果。未知计为 0，不根据名称猜测。";
        reliability_about: "The share of calls that were answered. Unknown counts as 800, since a few calls will tell." / "得到回答的调用比例。未知计为 800，少量调用后即可得知。";
        speed_about: "The time until the first content, and tokens per second. Unknown counts as 500." / "首个内容的等待时间与每秒 token 数。未知计为 500。";
        context_about: "The context window. Unknown counts as 0." / "上下文窗口。未知计为 0。";
        quota_about: "What is left of today's calls. Unknown counts as 500." / "今日剩余调用次数。未知计为 500。";

        // Why a score is what it is.
        component: "Component" / "分项";
        points: "Points" / "分数";
        contribution: "Adds" / "贡献";
        because: "Because" / "依据";
        published(name: &str, value: &str, as_of: &str): "published: {name}: {value}, as of {as_of}" / "公开结果：{name}：{value}（{as_of}）";
        self_reported: "reported by its maker alone" / "仅由开发方公布";
        general_figure: "a figure for all sorts of tasks: there is none for this purpose" / "此用途没有专门的结果，采用综合结果";
        source: "source" / "来源";
        none_published(checked: &str, points: u16): "none published (looked on {checked}); counted as {points}" / "没有公开结果（{checked} 查找）；按 {points} 计";
        none_published_because(checked: &str, why: &str, points: u16): "none published (looked on {checked}): {why}; counted as {points}" / "没有公开结果（{checked} 查找）：{why}；按 {points} 计";
        capability_unchecked(points: u16): "unknown: nobody has looked for a published figure; counted as {points}" / "未知：尚未查找公开结果；按 {points} 计";
        calls_in_days(answered: u32, failed: u32, days: i64): "{answered} answered, {failed} failed in {days} days" / "{days} 天内成功 {answered} 次，失败 {failed} 次";
        reliability_unknown(points: u16): "unknown: no call yet; counted as usual, {points}" / "未知：尚无调用；按常见水平 {points} 计";
        first_content(time: &str, count: u32): "first content after {time} (of {count})" / "首个内容 {time}（{count} 次）";
        tokens_per_second(speed: u32, count: u32): "{speed} tokens/s (of {count})" / "{speed} token/秒（{count} 次）";
        speed_unknown(points: u16): "unknown: not measured yet; counted as usual, {points}" / "未知：尚未测量；按常见水平 {points} 计";
        context_tokens(count: &str): "{count} tokens" / "{count} 个 token";
        context_unknown(points: u16): "unknown: no list tells; counted as {points}" / "未知：列表未提供；按 {points} 计";
        quota_left(calls: &str): "{calls} calls left today, over all keys" / "今日所有密钥共剩 {calls} 次调用";
        quota_unlimited: "no limit by the day" / "没有每日限额";
        quota_unknown(points: u16): "unknown: the provider does not tell; counted as half, {points}" / "未知：服务商未告知；按一半 {points} 计";

        // What is left out.
        left_out: "Left out" / "未列入的模型";
        left_out_none: "Nothing is left out." / "没有未列入的模型。";
        left_out_count(count: usize): "{count} offers" / "{count} 项";
        left_out_listed(listed: usize, total: usize): "{listed} of {total} are listed here. What is merely listed by an upstream, and not free, is on the page Models." / "此处列出 {total} 项中的 {listed} 项。仅由上游列出且非免费的模型见“模型”页面。";
        reason: "Why" / "原因";
        any_reason: "Any reason" / "全部原因";
        no_keys: "no key may call it" / "没有可用密钥";
        dead_failing: "failed again and again" / "连续失败";
        dead_gone: "the provider says that it is gone, or not for this account" / "服务商表示已下线或此账户不可用";
        dead_unlisted: "gone from the provider's list" / "已不在服务商的列表中";
        no_text: "gives no text" / "不输出文本";
        paid: "costs something" / "需付费";
        price_unknown: "nothing says that it is free" / "无法确认免费";
        no_vision: "takes no images" / "不支持图像";
        vision_unknown: "nothing says that it takes images" / "无法确认支持图像";
        no_tools: "calls no tools" / "不支持工具调用";
        beyond_limit: "behind the last place" / "排在数量上限之后";
        dead_since(since: &str, retry: &str): "since {since}; asked again from {retry} on" / "自 {since}；{retry} 起重新尝试";
        twice: "offered twice by the same channel" / "同一渠道重复提供";

        // Names.
        names: "Names" / "名称";
        names_intro: "Providers call the same model by different names. Names that stand for the same model are one model here: it takes one place in a chain, on all of its channels." / "同一模型在不同服务商处可能有不同名称。在此归为同一模型的名称只占一个名次，并使用其全部渠道。";
        names_hint: "Letter case, prices such as “:free” and the prefixes of known vendors never keep names apart; those need no entry." / "大小写、“:free” 之类的价格后缀以及已知厂商的前缀不会造成区分，无需添加。";
        other_name: "Name at a provider" / "服务商处的名称";
        at_provider: "Provider" / "服务商";
        any_provider: "at any provider" / "任何服务商";
        stands_for: "Stands for" / "对应的模型";
        add_name: "Add" / "添加";
        name_added(name: &str, model: &str): "{name} is {model} from now on." / "{name} 现在视为 {model}。";
        name_removed(name: &str): "{name} stands for itself again." / "{name} 恢复为独立的模型。";
        remove: "Remove" / "移除";
        remove_sure(name: &str): "{name} counts as a model of its own again in the ranking; you can add it back." / "{name} 在排名中恢复为独立的模型，之后可以重新添加。";
        remove_yes: "Yes, remove" / "确认移除";
        remove_name(name: &str): "Remove {name}" / "移除 {name}";
        bundled: "bundled" / "内置";
        of_operator: "yours" / "自定义";
        no_names: "No name fits." / "没有符合条件的名称。";
        name_wrong: "A name has 1 to 200 characters, and no blanks." / "名称为 1 到 200 个字符，不含空格。";
        too_many_names(most: usize): "There are {most} names already; remove one first." / "已有 {most} 个名称，请先移除一个。";
        name_same: "These are the same name already." / "这两个名称已视为同一模型。";
        name_count(count: usize): "{count} names" / "{count} 个名称";

        // Commands.
        about_list: "Lists the ranked free models of a managed chain, the best one first" / "按排名列出自动回退链的免费模型，最好的在前";
        about_switch: "Puts a model at the head of a managed chain, by any name that a provider has for it" / "将模型置于自动回退链首位，可使用任一服务商的名称";
        about_chain: "The managed chain: auto, auto:coding, auto:vision or auto:fast [default: auto]" / "自动回退链：auto、auto:coding、auto:vision 或 auto:fast [默认值：auto]";
        about_all: "Models that cost something as well" / "同时列出付费模型";
        about_model: "The model; any name that a provider has for it" / "模型；任一服务商使用的名称均可";
        about_unpin: "Take the pin away; without MODEL, all pins of the chain" / "取消置顶；不写模型则取消该链的全部置顶";
        about_limit: "At most so many models (50 by default)" / "最多列出的模型数（默认 50）";
        tools_vision: "Tools / images" / "工具 / 图像";
        last_answered: "Last answered" / "最近回答";
        no_ranked: "No model is ranked. `onepool refresh` asks the upstreams, `onepool list --all` shows paid models as well." / "没有可排名的模型。可用 `onepool refresh` 查询上游，或用 `onepool list --all` 同时查看付费模型。";
        no_ranked_at_all: "No model is ranked: add a channel, or ask the upstreams with `onepool refresh`." / "没有可排名的模型：请添加渠道，或用 `onepool refresh` 查询上游。";
        shown_of(shown: usize, total: usize): "{shown} of {total} models" / "共 {total} 个模型，显示 {shown} 个";
        no_such_chain(known: &str): "give one of: {known}" / "请使用以下值之一：{known}";
        model_missing: "name a model, or give --unpin" / "请写明模型，或使用 --unpin";
        chain_is_off(chain: &str): "The chain {chain} is off: clients cannot ask for it." / "回退链 {chain} 已停用，客户端无法请求。";
    }
}
