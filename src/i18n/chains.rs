//! Chains: virtual models made by hand.

use super::texts;

texts! {
    /// The pages of chains, and what is wrong with a chain wherever it is written.
    Chains {
        title: "Chains" / "回退链";
        add: "New chain" / "新建回退链";
        new_title: "New chain" / "新建回退链";
        filter_hint: "Filter chains…" / "筛选回退链…";
        no_match: "No chain matches the filter." / "没有符合筛选条件的回退链。";
        empty_title: "No chains yet" / "还没有回退链";
        empty_text: "A chain is a model name of your own with an ordered list of models behind it. A call goes to the first one that can take it, and on to the next when there is no room." / "回退链是您自定的模型名称，背后是一组有顺序的模型。调用会发给第一个有余量的模型，没有余量时转到下一个。";
        steps: "Models, in order" / "模型（按顺序）";
        step: "Step" / "步骤";
        model: "Model" / "模型";
        name_hint: "The model name that clients ask for, without spaces. If a channel has a model of this name, the chain takes its place." / "客户端请求时使用的模型名称，不含空格。若渠道中有同名模型，则由回退链取代。";
        enabled_hint: "Off: nobody can ask for it." / "停用后无法请求此名称。";
        steps_hint: "Each model is served by all of its channels and keys. A step may name another chain, whose models then stand in its place; the chain's own name means the channels' model of that name. Rows without a model are dropped." / "每个模型由拥有它的所有渠道和密钥提供。步骤可以填写另一个回退链的名称，此时其模型会展开在该位置；填写本回退链自身的名称则表示渠道中的同名模型。未填写模型的行会被忽略。";
        spill: "Wait (ms)" / "等待（毫秒）";
        spill_hint: "How long a call waits, from its arrival, for a model that has no room before the next one is looked at, in milliseconds. Empty: 2000; 0: not at all; never: as long as it may, and then it is refused." / "模型暂无余量时，调用自到达起等待多少毫秒后才考虑下一个。留空为 2000；0 表示不等待；never 表示一直等到调用的等待上限，仍不够则拒绝。";
        spill_wrong: "Please give a number of milliseconds, or the word never." / "请填写毫秒数，或单词 never。";
        spill_never: "never left" / "不转到下一个";
        spill_at_once: "left at once" / "立即转到下一个";
        spill_after(ms: &str): "left after {ms} ms" / "{ms} 毫秒后转到下一个";
        add_step: "Add a step" / "添加步骤";
        move_up(step: usize): "Move step {step} up" / "上移步骤 {step}";
        move_down(step: usize): "Move step {step} down" / "下移步骤 {step}";
        remove_step(step: usize): "Remove step {step}" / "移除步骤 {step}";
        model_of(step: usize): "Model of step {step}" / "步骤 {step} 的模型";
        spill_of(step: usize): "Wait of step {step} in milliseconds" / "步骤 {step} 的等待毫秒数";
        not_saved: "The steps have changed; nothing is saved yet." / "步骤已更改，尚未保存。";
        not_served: "no channel that is on has it: skipped" / "没有已启用的渠道提供，会被跳过";
        unserved(models: &str): "Skipped, because no channel that is on has them: {models}." / "因没有已启用的渠道提供而被跳过：{models}。";
        state_on: "on" / "启用";
        state_off: "off" / "停用";
        state_unserved: "nobody serves it" / "无可用模型";
        state_partly: "some steps are skipped" / "部分步骤被跳过";
        hides: "A channel has a model of this name. Calls for it go to this chain." / "渠道中有同名模型，对该名称的调用会由此回退链处理。";
        order: "Where calls go now" / "当前调用顺序";
        order_text: "Chains among the steps are written out, and models that nobody serves now are left out." / "步骤中的回退链已展开，当前无人提供的模型已略去。";
        channels(count: usize): "channels: {count}" / "渠道 {count} 个";
        last_step: "the last one" / "最后一个";
        created: "The chain was made. Clients can ask for its name now." / "回退链已创建，客户端现在即可请求此名称。";
        switched_on: "The chain is on." / "回退链已启用。";
        switched_off: "The chain is off." / "回退链已停用。";
        delete_title(name: &str): "Delete the chain {name}?" / "删除回退链“{name}”？";
        delete_text: "Calls for its name are refused from then on, unless a channel has a model of this name. The usage log keeps the name." / "此后对该名称的调用会被拒绝，除非渠道中有同名模型。用量日志会保留该名称。";
        delete_chains: "These chains have it as a step, which is then skipped:" / "以下回退链以它为步骤，删除后该步骤会被跳过：";
        delete_tokens: "These tokens name it in their scope:" / "以下令牌的模型范围中有此名称：";

        no_steps: "Name one model at least." / "请至少填写一个模型。";
        too_many_steps(max: usize): "At most {max} steps; put some of them into a chain of their own." / "最多 {max} 个步骤，可将其中一部分放入另一个回退链。";
        makes_loop(way: &str): "This would lead back to the chain itself: {way}. Name another model." / "这会绕回回退链自身：{way}。请换一个模型。";
    }
}
