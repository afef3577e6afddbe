"""Messages with Anthropic's Python SDK."""

import asyncio
import json
from typing import Literal

import anthropic
from checks import BASE_URL, GATEWAY, KEY, PARAMETERS, PNG, SIM_URL, behind_gateway, check, posted, recent, run
from pydantic import BaseModel

client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=20)

WEATHER = {"name": "get_weather", "description": "Tells the weather.", "input_schema": PARAMETERS}
CLOCK = {"name": "get_time", "input_schema": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}}


class Verdict(BaseModel):
    answer: int
    confidence: Literal["low", "high"]


def ask(model, content, **more):
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return {"model": model, "max_tokens": 2048, "messages": messages, **more}


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


@check()
def whole(model):
    message = client.messages.create(**ask(model, "What is 17 + 25?", system="Be brief."))
    assert "42" in text(message), message
    assert message.type == "message" and message.role == "assistant" and message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message.id and message.model


@check()
def streamed(model):
    asked = ask(model, "Tell me about rivers — and 漢字.")
    expected = text(client.messages.create(**asked))
    events = list(client.messages.create(**asked, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == expected and len(deltas) > 1, (deltas, expected)


@check()
def accumulator(model):
    asked = ask(model, "Say something about tides")
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        told = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert told == text(final) == text(whole), (told, final, whole)
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens == whole.usage.input_tokens, (final.usage, whole.usage)
    assert final.usage.output_tokens == whole.usage.output_tokens, (final.usage, whole.usage)


@check()
def conversation(model):
    turns = [
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": [{"type": "text", "text": "4"}]},
        {"role": "user", "content": [{"type": "text", "text": "What is 30 + 3?", "cache_control": {"type": "ephemeral"}}]},
    ]
    system = [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}]
    message = client.messages.create(**ask(model, turns, system=system))
    assert "33" in text(message), message


@check()
def tools_round_trip(model):
    turns = [{"role": "user", "content": "Please use get_weather for Rome"}]
    message = client.messages.create(**ask(model, turns, tools=[WEATHER, CLOCK]))
    assert message.stop_reason == "tool_use"
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather"] and set(calls[0].input) == {"city", "unit"}, message
    turns.append({"role": "assistant", "content": message.content})
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "Rain, 12 degrees."}
    turns.append({"role": "user", "content": [result]})
    final = client.messages.create(**ask(model, turns, tools=[WEATHER, CLOCK]))
    assert "Rain, 12 degrees." in text(final), final


@check()
def tools_streamed(model):
    asked = ask(model, "Use get_weather and get_time for Lima", tools=[WEATHER, CLOCK])
    with client.messages.stream(**asked) as stream:
        partial = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"], final
    assert set(calls[0].input) == {"city", "unit"} and set(calls[1].input) == {"zone"}, calls
    assert len(partial) >= 2 and final.stop_reason == "tool_use"


@check()
def forced_tool(model):
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        message = client.messages.create(**ask(model, "Hello", tools=[WEATHER, CLOCK], tool_choice=choice))
        assert message.content[0].name == "get_weather", message
    message = client.messages.create(**ask(model, "Use get_weather", tools=[WEATHER], tool_choice={"type": "none"}))
    assert message.stop_reason == "end_turn", message


@check()
def image(model):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is on this picture, marked block?"}]
    shown = client.messages.create(**ask(model, [{"role": "user", "content": content}]))
    assert shown.usage.input_tokens >= 85, shown
    assert PNG in json.dumps(recent("marked block")["body"])


@check()
def structured(model):
    parsed = client.messages.parse(**ask(model, "What is 17 + 25?"), output_format=Verdict).parsed_output
    assert isinstance(parsed, Verdict) and parsed.answer == 42, parsed
    with client.messages.stream(**ask(model, "What is 17 + 25?"), output_format=Verdict) as stream:
        final = stream.get_final_message()
    assert final.parsed_output == parsed


@check()
def thinking(model):
    # a budget means nothing to other models, and an effort does
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = ask(model, "Think about this", thinking=thinking, output_config={"effort": "high"})
    message = client.messages.create(**asked)
    assert [block.type for block in message.content] == ["thinking", "text"], message
    assert message.content[0].thinking.startswith("(simulated thought)")
    with client.messages.stream(**asked) as stream:
        thoughts = "".join(event.thinking for event in stream if event.type == "thinking")
        final = stream.get_final_message()
    assert thoughts == message.content[0].thinking == final.content[0].thinking
    assert text(final) == text(message)


@check(only="anthropic")
def signature(model):
    asked = ask(model, "Think about this", thinking={"type": "adaptive"})
    message = client.messages.create(**asked)
    assert message.content[0].signature, message
    with client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert [block.to_dict() for block in final.content] == [block.to_dict() for block in message.content], final
    turns = asked["messages"] + [{"role": "assistant", "content": message.content}, {"role": "user", "content": "What is 1 + 1? marked thought"}]
    client.messages.create(**{**asked, "messages": turns})
    came = recent("marked thought")["body"]["messages"][1]["content"]
    assert came[0] == message.content[0].to_dict(), came


@check()
def stop_and_length(model):
    asked = ask(model, "Tell me a long story about bridges")
    cut = client.messages.create(**{**asked, "max_tokens": 5})
    assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens <= 5, cut
    stopped = client.messages.create(**asked, stop_sequences=["bridges"])
    assert "bridges" not in text(stopped), stopped


@check(only="anthropic")
def stop_sequence(model):
    stopped = client.messages.create(**ask(model, "Tell me a long story about bridges"), stop_sequences=["bridges"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "bridges"), stopped


@check(only="anthropic")
def count_tokens(model):
    asked = {"model": model, "messages": [{"role": "user", "content": "How long is this?"}], "system": "Be brief."}
    counted = client.messages.count_tokens(**asked).input_tokens
    assert counted == client.messages.create(**asked, max_tokens=9).usage.input_tokens
    assert client.messages.count_tokens(**asked, tools=[WEATHER]).input_tokens > counted


@check(only="anthropic")
def unknown_fields(model):
    client.messages.create(
        **ask(model, "Pass on what you do not know: marked unknown message"),
        metadata={"user_id": "somebody"},
        extra_body={"x_unknown": {"deep": [1]}},
        extra_headers={"anthropic-beta": "simulated-beta-1,simulated-beta-2"},
    )
    came = recent("marked unknown message")
    assert came["body"]["x_unknown"] == {"deep": [1]} and came["body"]["metadata"] == {"user_id": "somebody"}, came
    assert came["headers"]["anthropic-beta"] == "simulated-beta-1,simulated-beta-2", came
    assert came["headers"]["anthropic-version"], came


@check()
def models():
    listed = [model.id for model in client.models.list()]
    assert listed, "no models"


@check()
def errors():
    try:
        client.messages.create(**ask("limited", "Hello"))
        raise AssertionError("it was let through")
    except anthropic.RateLimitError as error:
        assert 100 < float(error.response.headers["retry-after"]) <= 3600, error.response.headers
        assert error.body["error"]["type"] == "rate_limit_error", error.body
    try:
        client.messages.create(**ask("antropic/small" if GATEWAY else "missing", "Hello"))
        raise AssertionError("it was answered")
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", error.body
        assert not GATEWAY or "anthropic" in str(error), error
    try:
        client.messages.create(model="on-anthropic" if GATEWAY else "small", max_tokens=9, messages=[])
        raise AssertionError("it was answered")
    except anthropic.BadRequestError as error:
        assert error.body["error"]["type"] == "invalid_request_error", error.body


@check()
def cut_short():
    said = []
    try:
        with client.messages.stream(**ask("cut", "Tell me a lot")) as stream:
            said.extend(stream.text_stream)
    except Exception as error:
        # a connection that breaks is an error of the SDK's own client, and an error event is one of its API
        assert said and (isinstance(error, anthropic.APIError) or not GATEWAY), repr(error)
    else:
        raise AssertionError("the cut was kept quiet")


@check()
def wrong_key():
    if GATEWAY:
        return
    try:
        client.with_options(api_key="wrong").messages.create(**ask("small", "Hello"))
        raise AssertionError("it was let in")
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error"


@check()
def fifty_at_once(model):
    async def all_of_them():
        async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key=KEY, max_retries=0) as client:

            async def one(number):
                asked = ask(model, f"Tell me about number {number}.")
                if number % 2:
                    return text(await client.messages.create(**asked))
                async with client.messages.stream(**asked) as stream:
                    return text(await stream.get_final_message())

            return await asyncio.gather(*map(one, range(50)))

    for number, said in enumerate(asyncio.run(all_of_them())):
        assert f"number {number}." in said, (number, said)


@behind_gateway
def untouched():
    headers = {"anthropic-version": "2023-06-01"}
    for more in ({}, {"tools": [WEATHER], "tool_choice": {"type": "any"}}, {"thinking": {"type": "adaptive"}}):
        for stream in (False, True):
            asked = {**ask("small", "Tell me about rivers — and 漢字.", **more), "stream": stream}
            direct = posted(SIM_URL, "/v1/messages", asked, headers)
            through = posted(BASE_URL, "/v1/messages", {**asked, "model": "on-anthropic"}, headers)
            assert through == direct, (asked, through, direct)


@behind_gateway
def rescued():
    asked = ask("on-openai", "Tell me about rivers — and 漢字.")
    expected = text(client.messages.create(**asked))
    # each answer of the first model breaks off, and the next one says the same
    with client.messages.stream(**{**asked, "model": "mended"}) as stream:
        told = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert told == text(final) == expected, (told, final, expected)
    assert final.stop_reason == "end_turn"


@behind_gateway
def panel():
    message = client.messages.create(**ask("panel", "What is 17 + 25?"))
    alone = client.messages.create(**ask("on-anthropic", "What is 17 + 25?"))
    assert text(message) and message.usage.input_tokens > 3 * alone.usage.input_tokens, message
    with client.messages.stream(**ask("panel", "What is 17 + 25?")) as stream:
        final = stream.get_final_message()
    assert text(final) == text(message), (final, message)
    assert final.usage.input_tokens == message.usage.input_tokens, (final.usage, message.usage)


run()
