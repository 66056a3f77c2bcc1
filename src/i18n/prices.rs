//! The page of prices.

use super::texts;

texts! {
    /// Prices of models, and where they are known from.
    Prices {
        title: "Prices" / "价格";
        intro: "What the models of this pool cost, and where that is known from. A channel's own price and your table are what calls cost, and are charged to budgets in dollars. Upstreams' lists and presets are only compared with, to tell what was saved." / "号池中各模型的价格及其来源。渠道自身的价格和您的价格表即调用的费用，会计入以美元计的预算；上游目录和预设价格仅用于比较，以计算节省的金额。";
        filter: "Model, channel or provider" / "模型、渠道或服务商";
        all_sources: "all sources" / "所有来源";
        source: "Price from" / "价格来源";
        source_channel: "channel" / "渠道";
        source_table: "your table" / "您的价格表";
        source_upstream: "upstream's list" / "上游目录";
        source_preset(day: &str): "preset of {day}" / "{day} 的预设";
        source_preset_any: "preset" / "预设";
        source_free: "free" / "免费";
        source_none: "not known" / "未知";
        stale: "may be out of date" / "可能已过时";
        charged: "charged" / "计费";
        compared: "compared only" / "仅比较";
        model: "Model" / "模型";
        channel: "Channel" / "渠道";
        input: "Input" / "输入";
        cached: "Cached" / "缓存";
        output: "Output" / "输出";
        reasoning: "Reasoning" / "推理";
        units: "Other units" / "其他单位";
        per_million: "Dollars per million tokens" / "美元 / 百万 tokens";
        list_price(input: &str, output: &str): "list: {input} / {output}" / "目录价：{input} / {output}";
        set: "Set" / "设置";
        set_of(model: &str): "Set a price for {model}" / "为 {model} 设置价格";
        none_fits: "No model fits." / "没有匹配的模型。";
        empty: "No channel offers a model yet." / "还没有渠道提供模型。";
        your_table: "Your table" / "您的价格表";
        your_table_empty: "Your table is empty. A price in it holds for a model wherever its channel has none, and is not free." / "您的价格表为空。表中的价格适用于渠道未定价且不免费的模型。";
        edit_title: "A price in your table" / "价格表中的价格";
        model_hint: "As the list above names it, or any name of the model." / "使用上表中的名称，或该模型的任一名称。";
        provider: "Provider" / "服务商";
        provider_any: "any" / "不限";
        units_hint: "Such as image=0.04 audio_minute=0.006; see the channel's prices." / "例如 image=0.04 audio_minute=0.006，写法同渠道价格。";
        optional: "Empty: the same as input or output." / "留空：与输入或输出相同。";
        model_wrong: "Give one model's name without blanks, at most 200 characters." / "请填写一个不含空格的模型名称，最多 200 个字符。";
        nothing: "Give input and output, or prices of other units; to remove the entry use its button." / "请填写输入和输出价格，或其他单位的价格；要删除条目请用删除按钮。";
        saved_price: "The price was saved. It counts from the next call on." / "价格已保存，自下一次调用起生效。";
        removed_price: "The price was removed." / "价格已删除。";
        remove_sure(model: &str): "Calls of {model} are priced by the other sources from now on, if they know it. What was counted stays." / "此后 {model} 的调用按其他来源的价格计算（如有）。已计入的费用不变。";
        remove_of(model: &str): "Delete the price of {model}" / "删除 {model} 的价格";
        gone: "Your table has no such price." / "价格表中没有这个价格。";
        saved_tile: "Saved in 30 days" / "30 天内节省";
        known_tile: "Models with a price" / "有价格的模型";
        of_all(some: usize, all: usize): "{some} of {all}" / "{some} / {all}";
        next: "Next page" / "下一页";
        updated_hint: "Upstreams' lists are taken over with the next change of the pool, at a start, and whenever the managed chains are built anew." / "上游目录的价格在号池下次变更、启动或重建自动回退链时更新。";
    }
}
