"""Chat completions with OpenAI's Python SDK."""

import asyncio
import json
from typing import Literal

import openai
from checks import BASE_URL, GATEWAY, KEY, PARAMETERS, PNG, SIM_URL, behind_gateway, check, posted, recent, run
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0, timeout=20)

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Tells the weather.", "parameters": PARAMETERS, "strict": True},
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {
            "type": "object",
            "properties": {"zone": {"type": "string"}},
            "required": ["zone"],
            "additionalProperties": False,
        },
    },
}


def user(text):
    return {"role": "user", "content": text}


class Verdict(BaseModel):
    answer: int
    confidence: Literal["low", "high"]


@check()
def whole(model):
    answer = client.chat.completions.create(model=model, messages=[user("What is 17 + 25?")])
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and "42" in choice.message.content, choice
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.id and answer.model
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@check()
def streamed(model):
    asked = {"model": model, "messages": [user("Tell me about rivers — and 漢字.")]}
    expected = client.chat.completions.create(**asked).choices[0].message.content
    chunks = list(client.chat.completions.create(**asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == expected, (text, expected)
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 1
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"
    assert all(chunk.choices for chunk in chunks), "a chunk without choices that nobody asked for"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


@check()
def streamed_usage(model):
    chunks = list(
        client.chat.completions.create(
            model=model, messages=[user("Count me")], stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]
    assert chunks[-1].usage.prompt_tokens > 0


@check()
def conversation(model):
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "You are terse."},
            user("What is 2 + 2?"),
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": [{"type": "text", "text": "What is 30 + 3?"}]},
        ],
        max_completion_tokens=64,
    )
    assert "33" in answer.choices[0].message.content, answer
    alone = client.chat.completions.create(model=model, messages=[user("What is 30 + 3?")])
    assert answer.usage.prompt_tokens > alone.usage.prompt_tokens


@check()
def accumulator(model):
    with client.chat.completions.stream(
        model=model,
        messages=[user("Say something about tides")],
        stream_options={"include_usage": True},
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds, set(kinds)
    assert final.choices[0].message.content.startswith("(simulated)")
    assert final.usage.total_tokens > 0 and final.choices[0].finish_reason == "stop"


@check()
def tools_round_trip(model):
    messages = [user("Please use get_weather for Rome")]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, CLOCK])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["get_weather"]
    arguments = json.loads(message.tool_calls[0].function.arguments)
    assert set(arguments) == {"city", "unit"}, arguments
    messages.append(message)
    messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain, 12 degrees."})
    final = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, CLOCK])
    assert "Rain, 12 degrees." in final.choices[0].message.content, final


@check()
def tools_streamed(model):
    with client.chat.completions.stream(
        model=model,
        messages=[user("Use get_weather and get_time for Lima, please")],
        tools=[WEATHER, {**CLOCK, "function": {**CLOCK["function"], "strict": True}}],
    ) as stream:
        done = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"] == done, (calls, done)
    assert set(json.loads(calls[0].function.arguments)) == {"city", "unit"}
    assert set(json.loads(calls[1].function.arguments)) == {"zone"}
    assert len({call.id for call in calls}) == 2
    assert final.choices[0].finish_reason == "tool_calls"


@check()
def forced_tool(model):
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = client.chat.completions.create(
            model=model, messages=[user("Hello")], tools=[WEATHER, CLOCK], tool_choice=choice
        )
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
    answer = client.chat.completions.create(
        model=model, messages=[user("Use get_weather")], tools=[WEATHER], tool_choice="none"
    )
    assert answer.choices[0].message.tool_calls is None, answer


@check()
def image(model):
    def ask(*parts):
        content = [{"type": "text", "text": "What is on this picture, marked image?"}, *parts]
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])

    plain = ask()
    shown = ask({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
    assert shown.usage.prompt_tokens > plain.usage.prompt_tokens
    assert PNG in json.dumps(recent("marked image")["body"])


@check()
def structured(model):
    asked = {"model": model, "messages": [user("What is 17 + 25?")], "response_format": Verdict}
    for parse in (client.chat.completions.parse, client.beta.chat.completions.parse):
        parsed = parse(**asked).choices[0].message.parsed
        assert isinstance(parsed, Verdict) and parsed.answer == 42, parsed
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == parsed


@check(only="openai")
def several_choices(model):
    asked = {"model": model, "messages": [user("Name a colour, any colour")], "n": 3}
    answer = client.chat.completions.create(**asked)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    told = ["", "", ""]
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            told[choice.index] += choice.delta.content or ""
    assert told == texts, (told, texts)


@check(only="openai")
def logprobs(model):
    asked = {"model": model, "messages": [user("How sure are you?")], "logprobs": True, "top_logprobs": 2}
    choice = client.chat.completions.create(**asked).choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].logprobs.content == choice.logprobs.content


@check()
def reasoning(model):
    # Anthropic's models think when they are told to in their own words
    effort = {"extra_body": {"thinking": {"type": "adaptive"}}} if "anthropic" in model else {"reasoning_effort": "high"}
    asked = {"model": model, "messages": [user("Think about this")], **effort}
    answer = client.chat.completions.create(**asked, max_completion_tokens=4096)
    thought = answer.choices[0].message.model_extra["reasoning_content"]
    assert thought.startswith("(simulated thought)"), thought
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    chunks = client.chat.completions.create(**asked, stream=True)
    deltas = [chunk.choices[0].delta.model_extra or {} for chunk in chunks if chunk.choices]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == thought


@check()
def stop_and_length(model):
    asked = {"model": model, "messages": [user("Tell me a long story about bridges")]}
    cut = client.chat.completions.create(**asked, max_completion_tokens=5)
    assert cut.choices[0].finish_reason == "length", cut
    assert cut.usage.completion_tokens <= 5
    stopped = client.chat.completions.create(**asked, stop=["bridges"])
    assert "bridges" not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"


@check(only="openai")
def unknown_fields(model):
    client.chat.completions.create(
        model=model,
        messages=[{**user("Pass on what you do not know: marked unknown"), "x_note": "kept"}],
        extra_body={"x_unknown": {"deep": [1, {"er": None}]}, "safety_identifier": "somebody"},
        extra_headers={"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"},
    )
    came = recent("marked unknown")
    assert came["body"]["x_unknown"] == {"deep": [1, {"er": None}]}, came
    assert came["body"]["safety_identifier"] == "somebody"
    assert came["body"]["messages"][0]["x_note"] == "kept"
    assert came["headers"]["openai-organization"] == "org-1", came
    assert came["headers"]["openai-project"] == "proj-1"


@check()
def models():
    listed = [model.id for model in client.models.list()]
    assert listed, "no models"
    if GATEWAY:
        assert "panel" in listed and "on-openai" in listed, listed


@check()
def rate_limited():
    # the second caller is told as soon as the first, who has found it out
    for _ in range(2):
        try:
            client.chat.completions.create(model="limited", messages=[user("Hello")], timeout=5)
            raise AssertionError("it was let through")
        except openai.RateLimitError as error:
            assert 100 < float(error.response.headers["retry-after"]) <= 3600, error.response.headers
            assert error.body["message"] and error.body["type"], error.body


@check()
def unknown_model():
    try:
        client.chat.completions.create(model="opnai/small" if GATEWAY else "missing", messages=[user("Hello")])
        raise AssertionError("it was answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error.body
        assert not GATEWAY or '"openai"' in error.message, error.message


@check()
def bad_request():
    try:
        client.chat.completions.create(model="on-openai" if GATEWAY else "small", messages=[])
        raise AssertionError("it was answered")
    except openai.BadRequestError as error:
        assert error.message and error.type == "invalid_request_error", error.body


@check()
def cut_short():
    said = []
    try:
        for chunk in client.chat.completions.create(model="cut", messages=[user("Tell me a lot")], stream=True):
            said.append(chunk)
        raise AssertionError("the cut was kept quiet")
    except openai.APIError as error:
        assert said and not any(chunk.choices and chunk.choices[0].finish_reason for chunk in said), error


@check()
def wrong_key():
    if GATEWAY:
        return
    stranger = client.with_options(api_key="wrong")
    try:
        stranger.chat.completions.create(model="small", messages=[user("Hello")])
        raise AssertionError("it was let in")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key"


@check()
def fifty_at_once(model):
    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0) as client:

            async def ask(number):
                asked = {"model": model, "messages": [user(f"Tell me about number {number}.")]}
                if number % 2:
                    return (await client.chat.completions.create(**asked)).choices[0].message.content
                stream = await client.chat.completions.create(**asked, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

            return await asyncio.gather(*map(ask, range(50)))

    texts = asyncio.run(all_of_them())
    for number, text in enumerate(texts):
        assert f"number {number}." in text, (number, text)


@behind_gateway
def what_has_no_equivalent():
    try:
        client.chat.completions.create(model="on-anthropic", messages=[user("Hello")], n=2)
        raise AssertionError("it was answered")
    except openai.BadRequestError as error:
        assert "`n`" in error.message, error.message


@behind_gateway
def panel():
    messages = [user("What is 17 + 25?")]
    for parse in (client.chat.completions.parse, client.beta.chat.completions.parse):
        answer = parse(model="panel", messages=messages, response_format=Verdict)
        assert isinstance(answer.choices[0].message.parsed, Verdict), answer
    alone = client.chat.completions.parse(model="on-openai", messages=messages, response_format=Verdict)
    # three members and the judge
    assert answer.usage.prompt_tokens > 3 * alone.usage.prompt_tokens, (answer.usage, alone.usage)
    assert answer.usage.completion_tokens > 3 * alone.usage.completion_tokens, (answer.usage, alone.usage)
    with client.chat.completions.stream(
        model="panel", messages=messages, response_format=Verdict, stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Verdict), final
    assert final.usage.prompt_tokens > 3 * alone.usage.prompt_tokens, final.usage


@behind_gateway
def asked_to_be_an_ensemble():
    asked = {"model": "on-openai", "messages": [user("What is 17 + 25? marked five")]}
    one = client.chat.completions.create(**asked)
    five = client.chat.completions.create(**asked, extra_body={"antiphon": {"num_processors": 5}})
    assert five.usage.prompt_tokens >= 5 * one.usage.prompt_tokens, five.usage
    assert "antiphon" not in recent("marked five")["body"]


@behind_gateway
def untouched():
    path = "/v1/chat/completions"
    for more in ({}, {"n": 2, "logprobs": True}, {"tools": [WEATHER], "tool_choice": "required"}):
        for stream in ({}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}):
            asked = {"messages": [user("Tell me about rivers — and 漢字.")], **more, **stream}
            direct = posted(SIM_URL, path, {"model": "small", **asked})
            through = posted(BASE_URL, path, {"model": "on-openai", **asked})
            assert through == direct, (asked, through, direct)


@behind_gateway
def keys_stay_apart():
    messages = [user("Whose key is it? marked key")]
    posted(SIM_URL, "/v1/chat/completions", {"model": "small", "messages": messages})
    of_the_caller = recent("marked key")["headers"]["authorization"]
    client.chat.completions.create(model="on-openai", messages=messages)
    of_openai = recent("marked key")["headers"]["authorization"]
    client.chat.completions.create(model="on-anthropic", messages=messages)
    headers = recent("marked key")["headers"]
    of_anthropic = headers.get("x-api-key") or headers["authorization"]
    assert len({of_the_caller, of_openai, of_anthropic}) == 3, headers


@behind_gateway
def rescued():
    asked = {"messages": [user("Tell me about rivers — and 漢字.")]}
    expected = client.chat.completions.create(model="on-openai", **asked).choices[0].message.content
    # each answer of the first model breaks off, and the next one says the same
    with client.chat.completions.stream(model="mended", **asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == expected, (final, expected)
    assert final.choices[0].finish_reason == "stop"


@behind_gateway
def answered_by_the_next_model():
    raw = client.chat.completions.with_raw_response.create(model="chain", messages=[user("What is 17 + 25?")])
    assert "42" in raw.parse().choices[0].message.content
    # the one that really answered
    assert raw.headers["x-antiphon-model"].endswith("/small"), raw.headers
    assert int(raw.headers["x-antiphon-attempts"]) > 1, raw.headers


run()
