"""OnePool, as the official `openai` package for Python sees it."""

import base64
import concurrent.futures
import json
import pathlib
import tempfile
import time
import unittest
import urllib.request

import openai

import fake
from contract import Contract, messages
from onepool import OnePool

FAULTS = ["rate_limited_seconds", "context_length400", "status500", "error_after_content"]


class OnePoolTest(Contract, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = cls.enterClassContext(fake.FakeUpstream())
        cls.server = cls.enterClassContext(OnePool())
        cls.control("models", ["small", "rescued", "slow", "media", "jobs", *(f"fault:{fault}" for fault in FAULTS)])
        cls.add_channel("good", ["key-good-0001", "key-good-0002"], "small")
        cls.add_channel("slow", ["key-slow-0001"], "slow")
        for fault in FAULTS:
            cls.add_channel(fault, [f"key-{fault}"], f"fault:{fault}")
        cls.base_url, cls.api_key = cls.server.base_url, cls.server.add_token("sdk")

    @classmethod
    def control(cls, name: str, body) -> None:
        request = urllib.request.Request(f"{cls.upstream.origin}/_fake/{name}", json.dumps(body).encode())
        urllib.request.urlopen(request).close()

    @classmethod
    def calls(cls) -> list[dict]:
        with urllib.request.urlopen(f"{cls.upstream.origin}/_fake/calls") as response:
            return json.load(response)

    @classmethod
    def add_channel(cls, name: str, keys: list[str], model: str, **fields: str) -> None:
        for key in keys:
            cls.control("keys", {"key": key})
        cls.server.add_channel(name, cls.upstream.base_url, keys, [model], **fields)

    def ask(self, model: str, prompt: str, api_key: str | None = None, **options):
        client = self.client(api_key=api_key or self.api_key)
        return client.chat.completions.create(model=model, messages=messages(prompt), **options)

    def test_a_token_that_may_not_call_from_here_raises_permission_denied(self):
        elsewhere = self.server.add_token("elsewhere", cidrs="203.0.113.0/24")
        with self.assertRaises(openai.PermissionDeniedError) as caught:
            self.ask("small", "hi", elsewhere)
        self.assertEqual(caught.exception.code, "ip_not_allowed")

    def test_a_token_may_not_use_a_model_outside_its_scope_and_does_not_see_it(self):
        value = self.server.add_token("scoped", models="sm*")
        scoped = self.client(api_key=value)
        models = {model.id for model in scoped.models.list()}
        self.assertIn("small", models)
        self.assertNotIn("slow", models)
        self.assertEqual(scoped.models.retrieve("small").id, "small")
        with self.assertRaises(openai.NotFoundError):
            scoped.models.retrieve("slow")
        with self.assertRaises(openai.PermissionDeniedError):
            self.ask("slow", "hi", value)

    def test_a_token_beyond_its_requests_per_minute_raises_rate_limit_with_the_wait(self):
        limited = self.server.add_token("limited", requests_per_minute="1")
        self.ask("small", "hi", limited)
        with self.assertRaises(openai.RateLimitError) as caught:
            self.ask("small", "hi", limited)
        self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)

    def test_a_client_that_leaves_ends_the_call_to_the_upstream_within_two_seconds(self):
        stream = self.ask("slow", "marker=left words=2000 delay=20", stream=True)
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        stream.close()
        left = time.monotonic()
        while not any(call["model"] == "slow" and call["end"] == "ClientLeft" for call in self.calls()):
            self.assertLess(time.monotonic() - left, 2.5, [call["end"] for call in self.calls()])
            time.sleep(0.05)

    def test_a_client_sees_nothing_of_an_upstream_that_rotates_limits_stalls_and_breaks(self):
        rotated = ["key-revoked-0001", "key-limited-0001", "key-rescue-0001", "key-rescue-0002"]
        redirect = {"redirects": "smart = rescued"}
        self.add_channel("stalls", ["key-stalls-0001"], "rescued", priority="3", first_byte_s="1", **redirect)
        self.add_channel("breaks", ["key-breaks-0001"], "rescued", priority="2", **redirect)
        self.add_channel("rotates", rotated, "rescued", priority="1", **redirect)
        self.control("faults", {"key": "key-stalls-0001", "fault": "role_then_hang"})
        self.control("faults", {"key": "key-breaks-0001", "fault": "reset_after_headers"})
        self.control("faults", {"key": "key-limited-0001", "fault": "rate_limited_seconds"})
        self.control("keys", {"key": "key-revoked-0001", "state": "revoked"})

        def stream(number: int) -> str:
            chunks = self.ask("smart", f"marker=t{number} words=20", stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            texts = list(pool.map(stream, range(12)))
        self.assertEqual(texts, [fake.expected_text(f"t{number}", 20) for number in range(12)])
        used = {call["key"] for call in self.calls() if call["model"] == "rescued"}
        self.assertEqual(used, {"key-stalls-0001", "key-breaks-0001", *rotated})

    def test_pictures_sound_verdicts_and_responses_are_served_where_a_channel_serves_them(self):
        endpoints = "images, image_edits, speech, transcriptions, moderations, responses"
        self.add_channel("media", ["key-media-0001"], "media", endpoints=endpoints)
        client = self.client(api_key=self.api_key)
        made = client.images.generate(model="media", prompt="a cat", n=2, size="1024x1024")
        self.assertEqual(len(made.data), 2)
        picture = base64.b64decode(made.data[0].b64_json)
        edited = client.images.edit(model="media", prompt="a hat", image=("cat.png", picture, "image/png"))
        self.assertEqual(edited.data[0].b64_json, made.data[0].b64_json)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "speech.mp3"
            with client.audio.speech.with_streaming_response.create(
                model="media", voice="alloy", input="bytes=900000"
            ) as speech:
                speech.stream_to_file(path)
            self.assertEqual(path.stat().st_size, 900_000)
            with path.open("rb") as sound:
                heard = client.audio.transcriptions.create(model="media", file=sound)
        self.assertEqual(heard.text, "heard abc")
        self.assertFalse(client.moderations.create(model="media", input="hi").results[0].flagged)
        self.assertEqual(client.responses.create(model="media", input="hi").output_text, "said abc")
        with client.responses.stream(model="media", input="hi") as stream:
            said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        self.assertEqual(said, "said abc")
        with self.assertRaises(openai.NotFoundError) as caught:
            client.embeddings.create(model="media", input="hi")
        self.assertEqual(caught.exception.code, "model_not_on_endpoint")

    def test_videos_and_stored_responses_are_found_again_under_ids_of_the_servers_own(self):
        self.add_channel("jobs", ["key-jobs-0001", "key-jobs-0002"], "jobs", endpoints="videos, responses")
        client = self.client(api_key=self.api_key)
        ids = set()
        for picture in [None, ("first.png", b"picture", "image/png")]:
            options = {"input_reference": picture} if picture else {}
            video = client.videos.create_and_poll(
                model="jobs", prompt="polls=2 bytes=700001", seconds="4", poll_interval_ms=20, **options
            )
            self.assertEqual((video.status, video.model, video.seconds), ("completed", "jobs", "4"))
            self.assertTrue(video.id.startswith("video_"), video.id)
            self.assertEqual(len(client.videos.download_content(video.id).read()), 700_001)
            ids.add(video.id)
        self.assertEqual({video.id for video in client.videos.list(limit=1)}, ids)
        remix = client.videos.remix(video.id, prompt="a hat")
        self.assertEqual(remix.remixed_from_video_id, video.id)
        for made in [*ids, remix.id]:
            self.assertTrue(client.videos.delete(made).deleted)
        with self.assertRaises(openai.NotFoundError):
            client.videos.retrieve(video.id)

        first = client.responses.create(model="jobs", input="hi")
        second = client.responses.create(model="jobs", input="and?", previous_response_id=first.id)
        self.assertEqual(second.previous_response_id, first.id)
        with client.responses.stream(model="jobs", input="and?", previous_response_id=second.id) as stream:
            third = stream.get_final_response()
        for response in [first, second, third]:
            self.assertEqual(client.responses.retrieve(response.id).output_text, "said abc")
        self.assertEqual(len(client.responses.input_items.list(third.id).data), 1)
        client.responses.delete(third.id)
        with self.assertRaises(openai.BadRequestError) as caught:
            client.responses.create(model="jobs", input="and?", previous_response_id=third.id)
        self.assertEqual(caught.exception.param, "previous_response_id")


if __name__ == "__main__":
    unittest.main()
