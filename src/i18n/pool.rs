//! What is wrong with the fields of scripts: the admin API's and pool files'.

use super::texts;

texts! {
    /// Messages at fields of the admin API, the command line and pool files; pages share the other areas' messages.
    Pool {
        private_address: "This is a private or loopback address. If that is meant, set allow_private to true." / "这是私有或回环地址。如确需使用，请将 allow_private 设为 true。";
        provider_unknown(id: &str, all: &str): "There is no provider “{id}”. Please use one of: {all}." / "没有名为“{id}”的服务商。请使用以下之一：{all}。";
        provider_unknown_near(id: &str, near: &str, all: &str): "There is no provider “{id}”. Did you mean “{near}”? There are: {all}." / "没有名为“{id}”的服务商。是否想写“{near}”？可用的有：{all}。";
        plan_unknown(provider: &str, plan: &str, all: &str): "The provider {provider} has no plan “{plan}”. Please use one of: {all}; or leave it out." / "服务商 {provider} 没有名为“{plan}”的套餐。请使用以下之一：{all}；也可不填。";
        no_plans(provider: &str): "The provider {provider} has no plans; leave this out." / "服务商 {provider} 没有套餐之分，请不要填写。";
        fix_unknown(provider: &str, id: &str, all: &str): "The provider {provider} has no fix “{id}”. Please use one of: {all}." / "服务商 {provider} 没有名为“{id}”的请求修正。请使用以下之一：{all}。";
        too_many_fixes(max: usize): "At most {max} fixes." / "最多 {max} 项请求修正。";
        fix_shape: "Please write ID=on or ID=off, such as cache-control=on." / "请写成 名称=on 或 名称=off，例如 cache-control=on。";
        no_response_cache(provider: &str): "The provider {provider} keeps no answers for equal requests; leave this out." / "服务商 {provider} 不缓存相同请求的响应，请不要填写。";
        header_refused(name: &str): "“{name}” is set by the server itself; leave it out." / "“{name}”由服务器自行设置，请去掉该项。";
        header_name_invalid: "This is not a header's name: letters, digits and hyphens." / "这不是有效的请求头名称：只能包含字母、数字和连字符。";
        header_value_invalid: "A header's value is printable ASCII of at most 4000 characters." / "请求头的值只能是最多 4000 个可打印的 ASCII 字符。";
        twice(name: &str): "“{name}” stands here twice; leave one of them out." / "“{name}”重复出现，请去掉其中一个。";
        redirect_empty: "Name at least one upstream model, or leave the redirect out." / "请至少写一个上游模型，或去掉该重定向。";
        key_invalid: "A key has 4 to 1000 visible ASCII characters, without spaces." / "密钥须为 4 到 1000 个可见 ASCII 字符，不含空格。";
        too_many_pins(max: usize): "At most {max} models can be pinned." / "最多可置顶 {max} 个模型。";
        weights_all_zero: "Give at least one weight above 0." / "请至少将一项权重设为大于 0 的值。";
        preset_and_weights: "Give a preset or weights of your own, not both." / "请选择预设或填写自定义权重，不能同时使用。";
        unknown_provider_id(id: &str): "There is no provider “{id}”. Leave it out to mean any." / "没有名为“{id}”的服务商。留空表示任意服务商。";
    }
}
