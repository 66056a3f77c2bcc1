"""What a program that uses the official `openai` package expects of an endpoint.

`Contract` is a mix-in: a test case gives `base_url`, `api_key` and `model`. Models named `fault:<name>` must lead to that
fault of the fake upstream, with no other channel beside it.
"""

import concurrent.futures

import openai

from fake import expected_text


def messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Answer."}, {"role": "user", "content": prompt}]


class Contract:
    base_url: str
    api_key: str
    model = "small"
    wrong_key = "sk-wrong"

    def client(self, **options) -> openai.OpenAI:
        options = {"base_url": self.base_url, "api_key": self.api_key, "max_retries": 0, "timeout": 30, **options}
        client = openai.OpenAI(**options)
        self.addCleanup(client.close)
        return client

    def chat(self, prompt: str, **options):
        return self.client().chat.completions.create(
            **{"model": self.model, "messages": messages(prompt), **options}
        )

    def test_a_plain_answer_arrives_whole_with_its_usage(self):
        answer = self.chat("marker=plain words=7")
        self.assertEqual(answer.choices[0].message.content, expected_text("plain", 7))
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.model, self.model)
        self.assertEqual(answer.usage.completion_tokens, 8)
        self.assertEqual(answer.usage.prompt_tokens, 3)

    def test_a_stream_arrives_whole_without_a_usage_chunk_when_none_was_asked_for(self):
        chunks = list(self.chat("marker=stream words=40", stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, expected_text("stream", 40))
        self.assertEqual([chunk for chunk in chunks if not chunk.choices or chunk.usage], [])

    def test_a_stream_ends_with_its_usage_when_it_was_asked_for(self):
        chunks = list(self.chat("marker=stream words=3", stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, 4)
        self.assertEqual([chunk.usage for chunk in chunks if chunk.usage], [chunks[-1].usage])

    def test_twenty_streams_at_once_are_not_mixed_up(self):
        client = self.client()

        def stream(number: int) -> str:
            chunks = client.chat.completions.create(
                model=self.model, messages=messages(f"marker=m{number} words=30 delay=2"), stream=True
            )
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            for number, text in enumerate(pool.map(stream, range(20))):
                self.assertEqual(text, expected_text(f"m{number}", 30))

    def test_a_tool_call_arrives_plain_and_streamed(self):
        tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
        call = self.chat("marker=tool tool=1", tools=tools).choices[0].message.tool_calls[0]
        self.assertEqual((call.function.name, call.function.arguments), ("look_up", '{"marker":"tool"}'))
        arguments = ""
        for chunk in self.chat("marker=tool tool=1", tools=tools, stream=True):
            for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                arguments += delta.function.arguments or ""
        self.assertEqual(arguments, '{"marker":"tool"}')

    def test_text_completions_work(self):
        answer = self.client().completions.create(model=self.model, prompt="marker=text words=2")
        self.assertEqual(answer.choices[0].text, expected_text("text", 2))

    def test_embeddings_work_as_base64_and_as_numbers(self):
        for options in ({}, {"encoding_format": "float"}):
            answer = self.client().embeddings.create(model=self.model, input=["one", "two"], **options)
            self.assertEqual([item.embedding[0] for item in answer.data], [3.0, 3.0])
            self.assertEqual(answer.data[1].embedding[1], 346.0)

    def test_the_models_are_listed(self):
        models = {model.id for model in self.client().models.list()}
        self.assertIn(self.model, models)

    def test_a_wrong_token_raises_authentication_error(self):
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.client(api_key=self.wrong_key).chat.completions.create(model=self.model, messages=messages("hi"))
        self.assertEqual(caught.exception.code, "invalid_api_key")

    def test_an_unknown_model_raises_not_found(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat("hi", model="no-such-model")
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_a_limited_pool_raises_rate_limit_error_with_the_wait(self):
        with self.assertRaises(openai.RateLimitError) as caught:
            self.chat("hi", model="fault:rate_limited_seconds")
        self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)

    def test_a_request_that_is_at_fault_raises_bad_request_with_the_upstream_words(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("hi", model="fault:context_length400")
        self.assertIn("maximum context length", str(caught.exception))

    def test_a_failed_upstream_raises_internal_server_error(self):
        with self.assertRaises(openai.InternalServerError):
            self.chat("hi", model="fault:status500")

    def test_an_error_in_the_middle_of_a_stream_raises_after_the_content(self):
        seen = ""
        with self.assertRaises(openai.APIError):
            for chunk in self.chat("marker=cut words=9", model="fault:error_after_content", stream=True):
                seen += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        self.assertTrue(expected_text("cut", 9).startswith(seen))
        self.assertIn("cut.0", seen)
