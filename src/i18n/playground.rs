//! The playground.

use super::texts;

texts! {
    /// The playground: calls to try out.
    Playground {
        title: "Playground" / "操练场";
        intro: "A call as one of your tokens would make it: it counts against the token's limits and quota, and it is in the log with the client “playground”. No value of a token is needed or shown." / "以某个令牌的身份发起真实调用：计入该令牌的限额和额度，并以客户端“playground”记入日志。无需也不会显示令牌的值。";
        token: "As token" / "使用令牌";
        token_off(name: &str): "{name} (off)" / "{name}（已停用）";
        no_tokens: "A call needs a token. Make one first." / "调用需要令牌，请先创建一个。";
        new_token: "New token" / "新建令牌";
        choose_token: "Choose a token." / "请选择令牌。";
        model: "Model or chain" / "模型或回退链";
        model_hint: "Type a part of the name; the list has what this token may use." / "输入名称的一部分进行搜索，列表为该令牌可用的模型。";
        show_models: "Show this token's models" / "显示该令牌的模型";
        chain: "chain" / "回退链";
        system: "System message" / "系统消息";
        message: "Message" / "消息";
        message_missing: "Write a message, add a picture or answer the tools." / "请填写消息、添加图片，或填写工具结果。";
        settings: "Settings" / "参数";
        temperature: "Temperature" / "温度";
        temperature_hint: "0 to 2; empty: the model's own." / "0 到 2，留空则使用模型默认值。";
        temperature_wrong: "A number from 0 to 2." / "请填写 0 到 2 之间的数字。";
        max_tokens: "Most tokens" / "最大 token 数";
        max_tokens_hint: "Of the answer; empty: as many as it takes." / "回答的上限，留空则不限制。";
        effort: "Reasoning effort" / "推理强度";
        effort_default: "the model's own" / "模型默认";
        unknown_choice: "This choice does not exist; choose another." / "该选项不存在，请重新选择。";
        stream: "Stream the answer" / "流式输出";
        stream_hint: "Without scripts in the browser the answer comes whole." / "浏览器禁用脚本时，回答会一次性返回。";
        pictures: "Pictures" / "图片";
        pictures_hint(most: usize, megabytes: usize): "PNG, JPEG, GIF or WebP, at most {most} of {megabytes} MB each. They are sent inside the request." / "支持 PNG、JPEG、GIF 和 WebP，最多 {most} 张，每张不超过 {megabytes} MB，随请求一并发送。";
        picture_wrong(name: &str): "{name} is no PNG, JPEG, GIF or WebP picture." / "{name} 不是 PNG、JPEG、GIF 或 WebP 图片。";
        picture_large(name: &str, megabytes: usize): "{name} has more than {megabytes} MB." / "{name} 超过 {megabytes} MB。";
        pictures_many(most: usize): "At most {most} pictures in a message." / "每条消息最多 {most} 张图片。";
        picture_data: "Or a data: address" / "或填写 data: 地址";
        picture_data_hint: "One per line, such as data:image/png;base64,..." / "每行一个，例如 data:image/png;base64,...";
        picture_data_wrong: "A line is no data:image/...;base64 address." / "有一行不是 data:image/...;base64 地址。";
        tools: "Tools" / "工具";
        tools_hint: "A JSON list of functions, as in the request field tools. Nothing is run: you answer in the tool's place." / "函数的 JSON 列表，格式与请求中的 tools 字段相同。不会真正执行，结果由您填写。";
        tools_example: "Example" / "示例";
        tools_wrong(why: &str): "This is no JSON list of tools: {why}" / "不是有效的工具 JSON 列表：{why}";
        tools_long(kilobytes: usize): "At most {kilobytes} KB." / "不超过 {kilobytes} KB。";
        tool_call(name: &str): "The model calls {name}" / "模型调用了 {name}";
        tool_answer(name: &str): "Result of {name}" / "{name} 的结果";
        tool_answer_missing: "Write what each tool gives back." / "请填写每个工具的返回结果。";
        send: "Send" / "发送";
        stop: "Stop" / "停止";
        new_chat: "New conversation" / "新建对话";
        conversation: "Conversation" / "对话";
        conversation_wrong: "The conversation could not be read; start a new one." / "无法读取对话内容，请新建对话。";
        conversation_long(most: usize): "A conversation has at most {most} messages; start a new one." / "对话最多 {most} 条消息，请新建对话。";
        nothing_yet: "The conversation appears here, with the way that each call took." / "对话内容和每次调用的路径会显示在这里。";
        role_user: "You" / "您";
        role_assistant: "Model" / "模型";
        role_tool: "Tool" / "工具";
        reasoning: "Reasoning" / "推理过程";
        picture: "Picture" / "图片";
        waiting: "Waiting for the first content…" / "等待首个内容…";
        busy: "Too many calls of the playground are under way. Wait until one ends." / "操练场正在进行的调用过多，请等待其中一个结束。";
        failed(status: u16, message: &str): "{status}: {message}" / "{status}：{message}";
        lost: "The connection broke off; the call was cancelled." / "连接已断开，调用已取消。";
        stopped: "Stopped; the call was cancelled." / "已停止，调用已取消。";
        result: "What the call did" / "调用结果";
        not_yet: "The call is not in the log yet; the link will work in a moment." / "该调用尚未写入日志，稍后即可打开链接。";
        open_call: "Open in the log" / "在日志中查看";
        served_by: "Served by" / "服务渠道";
        attempts: "Attempts" / "尝试";
        headers: "Response headers" / "响应头";
        same_request: "The same request" / "同样的请求";
        same_request_hint: "The token is read from the variable ONEPOOL_TOKEN. Pictures are cut." / "令牌从环境变量 ONEPOOL_TOKEN 读取，图片内容已省略。";
        too_large(megabytes: usize): "Everything together may have {megabytes} MB; leave pictures out or start a new conversation." / "全部内容不得超过 {megabytes} MB，请减少图片或新建对话。";
    }
}
