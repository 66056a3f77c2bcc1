//! What each page is for, in two or three sentences, and the documents.

use super::texts;

texts! {
    /// What each page is for, and the documents.
    About {
        label: "About this page" / "本页说明";
        more: "Read more" / "了解更多";
        documents: "Documents" / "文档";
        documents_text: "These documents belong to this version and are part of the program; they need no network." / "这些文档与当前版本对应，随程序提供，无需联网。";
        overview: "How the pool does right now: calls, answers, times, and what it can still do today. Below stands what needs a hand, with the page where you can help. The numbers renew themselves." / "号池当前的状况：调用、应答、耗时，以及今天还能承担多少。下方列出需要处理的事项及其入口。数字会自动更新。";
        channels: "A channel is one upstream with its keys and models. Calls go to the channels with the highest priority first, shared by weight, and on to the next one when something fails. What answers badly rests and comes back by itself." / "渠道是一个上游及其密钥和模型。调用先发往优先级最高的渠道，按权重分配，失败时转到下一个。应答异常的对象会休息，并自动恢复。";
        models: "Every model that your upstreams list, whether you offer it or not, with what is known of it. Tick models and take them over, and clients can call them. Testing a model makes calls that count." / "上游列出的所有模型，无论是否提供，以及已知的信息。勾选并采用后，客户端即可调用。探测模型会产生计入用量的调用。";
        ranking: "Managed chains such as auto hold the best models that you can call now, best first. Here stands why each model has its place, and what was left out. Pin a model or change the weights if you disagree." / "auto 等自动回退链按优劣排列当前可用的最佳模型。此处说明每个模型排名的理由，以及未入选的模型。如有不同看法，可固定模型或调整权重。";
        chains: "A chain is one name for several models in order: a call takes the first one that can answer. Clients use the name like any model. Chains may stand in chains." / "回退链用一个名称代表多个有序的模型：调用使用第一个能应答的模型。客户端像使用普通模型一样使用该名称。回退链中可以包含其他回退链。";
        tokens: "A token is what a client presents to this server; your upstream keys stay here. Give each person or program one of its own, with its models, limits, budget and end. Switching one off stops only that one." / "令牌是客户端访问本服务的凭据，上游密钥不会离开本服务。请为每个人或程序单独创建，并设置其模型、限额、预算和有效期。停用一个令牌不会影响其他令牌。";
        playground: "Make a call as one of your tokens and see the answer, the way that it took, its time and its cost. Calls from here are real: they count against limits and budgets." / "以某个令牌的身份发起调用，查看回答、所走的路径、耗时和费用。这里的调用是真实的，会计入限额和预算。";
        log: "Every call with its attempts: who made it, where it went, how long it took and how it ended. Requests and answers are not kept unless you capture a token's calls. Filters stand in the address, so you can keep or share it." / "每次调用及其各次尝试：由谁发起、发往哪里、耗时多久、结果如何。除非抓取某个令牌的调用，否则不保留请求和回答的内容。筛选条件在网址中，可以收藏或分享。";
        usage: "Sums over calls: choose what is counted, by what it is grouped, and when. “≈” marks numbers that are partly estimated. The address holds the question, and the same numbers come as CSV and JSON." / "调用的汇总：选择统计什么、按什么分组以及时间范围。“≈”表示部分为估算值。网址中包含全部条件，同样的数字可导出为 CSV 和 JSON。";
        budgets: "A budget says how much a token, key or channel may spend in a period, in dollars, tokens or requests. You are warned on the way; at its end calls are refused or go elsewhere, as you chose." / "预算限定令牌、密钥或渠道在一个周期内可用的美元、Token 或请求数。接近上限时会提醒；用尽后按您的选择拒绝调用或改用其他渠道。";
        prices: "What each model costs, and where that is known from. Your own prices come before everything else; without any price the cost of a call is unknown, not zero." / "每个模型的价格及其来源。您设置的价格优先于其他来源；没有价格时，调用的费用是未知，而不是零。";
        capacity: "How many calls each model and the whole pool can take per minute and per day, on paper and right now, and what holds it back. Give the size of your usual call for better numbers." / "每个模型和整个号池每分钟、每天可处理的调用数（理论值与当前值）以及瓶颈所在。填写常见调用的大小可得到更准确的数字。";
        routes: "Where a call would go now, in which order, and why not elsewhere. Nothing is sent. Choose a token to see what it may use." / "调用现在会发往哪里、以什么顺序，以及为何不使用其他候选。不会发送任何请求。选择令牌可查看其可用范围。";
        health: "How channels, keys and models did, from the calls of your clients: each cell is a stretch of time. Below stands what rests, why, and when it is tried again." / "根据客户端的真实调用显示渠道、密钥和模型的表现：每一格代表一段时间。并说明哪些对象正在休息、原因以及何时重试。";
        repair: "Looks after server, keys, configuration, what is stuck, chains and space. Looking changes nothing; repairs are made only when you say so, and what was done is listed." / "检查服务、密钥、配置、卡住的对象、回退链和磁盘空间。检查不会更改任何内容；只有在您确认后才会修复，并列出所做的操作。";
        openclaw: "Makes the configuration that points OpenClaw to this server: provider, models, aliases and defaults. The file has a variable in place of the token's value unless you ask for the value. What changed since the last export is shown." / "生成让 OpenClaw 使用本服务的配置：服务商、模型、别名和默认值。除非您要求，否则文件中以变量代替令牌值。还会显示自上次导出以来的变化。";
        settings: "What holds for the whole server and can be changed while it runs. Settings of the environment need a restart and are listed in the document." / "对整个服务生效、可在运行时更改的设置。通过环境变量设置的项目需要重启，详见文档。";
        account: "Your password, where you are logged in, and access tokens with which scripts may use the admin API. End a session that you do not know, and change the password." / "您的密码、登录会话，以及供脚本使用管理 API 的访问令牌。若有不认识的会话，请结束它并更改密码。";
        notifications: "Who is told when a key is refused, a limit or budget runs out, or a channel takes no calls. Messages are gathered, so that an outage does not become a flood. Send a test first." / "当密钥被拒绝、限额或预算用尽、渠道不再接收调用时通知谁。消息会合并发送，避免故障时消息泛滥。建议先发送测试。";
        api: "The admin API does what these pages do, for scripts. Make an access token on the account page; the OpenAPI document can be loaded into your tools." / "管理 API 可供脚本完成这些页面的操作。请在账户页面创建访问令牌；OpenAPI 文档可导入您的工具。";
    }
}
