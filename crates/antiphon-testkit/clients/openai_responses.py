"""Responses and embeddings with OpenAI's Python SDK."""

import base64
import json
import math
import struct

import openai
from checks import BASE_URL, GATEWAY, KEY, PARAMETERS, PNG, SIM_URL, behind_gateway, check, posted, recent, run
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0, timeout=20)

WEATHER = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}


class Sum(BaseModel):
    result: int


@check()
def whole(model):
    response = client.responses.create(model=model, input="What is 17 + 25?", instructions="Be brief.")
    assert "42" in response.output_text, response
    assert response.status == "completed" and response.object == "response" and response.error is None
    assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.input_tokens_details is not None


@check()
def streamed(model):
    asked = {"model": model, "input": [{"role": "user", "content": "Tell me about rivers — and 漢字."}]}
    expected = client.responses.create(**asked).output_text
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == expected == events[-1].response.output_text, (text, expected)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    order = [kind for kind in kinds if "delta" not in kind][2:-1]
    assert order == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ], order
    assert events[-1].response.usage.output_tokens > 0


@check()
def accumulator(model):
    with client.responses.stream(model=model, input="What is 17 + 25?") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots and snapshots[-1] == final.output_text and "42" in final.output_text


@check()
def structured(model):
    parsed = client.responses.parse(model=model, input="What is 17 + 25?", text_format=Sum).output_parsed
    assert parsed == Sum(result=42), parsed
    with client.responses.stream(model=model, input="What is 17 + 25?", text_format=Sum) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == parsed


@check()
def tools_round_trip(model):
    items = [{"role": "user", "content": "Please use get_weather for Rome"}]
    response = client.responses.create(model=model, input=items, tools=[WEATHER])
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather"], response
    assert set(json.loads(calls[0].arguments)) == {"city", "unit"}
    items += response.output
    items.append({"type": "function_call_output", "call_id": calls[0].call_id, "output": "Rain, 12 degrees."})
    final = client.responses.create(model=model, input=items, tools=[WEATHER])
    assert "Rain, 12 degrees." in final.output_text, final


@check()
def tools_streamed(model):
    with client.responses.stream(model=model, input="Use get_weather for Lima", tools=[WEATHER]) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    call = final.output[-1]
    assert call.type == "function_call" and call.name == "get_weather" and call.call_id, final
    assert "".join(deltas) == call.arguments
    assert set(json.loads(call.arguments)) == {"city", "unit"}


@check()
def image(model):
    content = [
        {"type": "input_text", "text": "What is on this picture, marked item?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    response = client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert response.output_text and response.usage.input_tokens >= 85
    assert PNG in json.dumps(recent("marked item")["body"])


@check(only="openai")
def reasoning(model):
    asked = {"model": model, "input": "Think about this", "reasoning": {"effort": "high", "summary": "auto"}}
    response = client.responses.create(**asked, max_output_tokens=4096)
    thoughts = [item for item in response.output if item.type == "reasoning"]
    assert thoughts[0].summary[0].text.startswith("(simulated thought)"), response
    with client.responses.stream(**asked) as stream:
        deltas = [event.delta for event in stream if event.type == "response.reasoning_summary_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == thoughts[0].summary[0].text
    assert final.output_text == response.output_text


@check()
def cut_off(model):
    response = client.responses.create(model=model, input="Tell me about bridges", max_output_tokens=5)
    assert response.status == "incomplete", response
    assert response.incomplete_details.reason == "max_output_tokens"
    events = list(
        client.responses.create(model=model, input="Tell me about bridges", max_output_tokens=5, stream=True)
    )
    assert events[-1].type == "response.incomplete", events[-1]


@check(only="openai")
def logprobs(model):
    response = client.responses.create(
        model=model, input="How sure are you?", include=["message.output_text.logprobs"], top_logprobs=2
    )
    told = response.output[0].content[0].logprobs
    assert "".join(token.token for token in told) == response.output_text
    assert len(told[0].top_logprobs) == 2


@check(only="openai")
def unknown_fields(model):
    client.responses.create(model=model, input="marked responses", metadata={"a": "b"}, extra_body={"x_unknown": [1]})
    came = recent("marked responses")
    assert came["path"] == "/v1/responses", came
    assert came["body"]["x_unknown"] == [1] and came["body"]["metadata"] == {"a": "b"}


@check()
def previous_response(model):
    try:
        client.responses.create(model=model, input="And then?", previous_response_id="resp_unknown")
        raise AssertionError("it was answered")
    except openai.BadRequestError as error:
        assert "previous" in error.message.lower(), error.message


@check()
def errors():
    try:
        client.responses.create(model="limited", input="Hello")
        raise AssertionError("it was let through")
    except openai.RateLimitError as error:
        assert float(error.response.headers["retry-after"]) > 3500
    try:
        client.responses.create(model="opnai/small" if GATEWAY else "missing", input="Hello", stream=True)
        raise AssertionError("it was answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error.body


@check()
def cut_short():
    try:
        with client.responses.stream(model="cut", input="Tell me a lot") as stream:
            response = stream.get_final_response()
        raise AssertionError(f"the cut was kept quiet: {response}")
    # an `error` event is handed on, and the final response is then missing
    except (openai.APIError, RuntimeError) as error:
        assert "response.completed" in str(error) or isinstance(error, openai.APIError), error


@check(only="openai")
def embeddings(model):
    texts = ["a river", "a bridge", "a river"]
    # the SDK asks for base64 and decodes it
    answer = client.embeddings.create(model=model, input=texts)
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert math.isclose(sum(side * side for side in vectors[0]), 1, rel_tol=1e-5)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    plain = client.embeddings.create(model=model, input="a river", encoding_format="float", dimensions=8)
    raw = client.embeddings.create(model=model, input="a river", encoding_format="base64")
    packed = struct.unpack("<8f", base64.b64decode(raw.data[0].embedding))
    for given in (plain.data[0].embedding, packed):
        assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(given, vectors[0], strict=True))
    assert len(client.embeddings.create(model=model, input=[1, 2], dimensions=3).data[0].embedding) == 3


@behind_gateway
def untouched():
    for path, asked in (
        ("/v1/embeddings", {"input": ["a river", "a bridge"]}),
        ("/v1/responses", {"input": "Tell me about rivers — and 漢字."}),
        ("/v1/responses", {"input": "Tell me about rivers — and 漢字.", "stream": True}),
        ("/v1/responses", {"input": "Use get_weather for Rome", "tools": [WEATHER], "stream": True}),
    ):
        direct = posted(SIM_URL, path, {"model": "small", **asked})
        through = posted(BASE_URL, path, {"model": "on-openai", **asked})
        assert through == direct, (asked, through, direct)


run()
