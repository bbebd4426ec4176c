"""Code and commands that load, ask and serve a run which is handed over."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from genrec_cli.core.settings import Quantization
from genrec_cli.language.handover.trained import ModelFormat, Trained

_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM takes for --max-lora-rank

_QUANTIZED: Final[Mapping[Quantization, str]] = {
    "none": "",
    "nf4": 'load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, '
    "bnb_4bit_compute_dtype=torch.bfloat16",
    "int8": "load_in_8bit=True",
}

_ASK: Final = """\
```python
import json

import pyarrow.parquet as pq

with open("prompt.json", encoding="utf-8") as file:
    prompt = json.load(file)
catalog = pq.read_table("catalog.parquet").to_pydict()
ids_of = dict(zip(catalog["title"], catalog["token_ids"]))
title_of = {tuple(ids): title for title, ids in ids_of.items()}
end = prompt["end_of_title_id"]


def prompt_ids(history):
    titles = [ids_of[title] for title in history]  # oldest first
    around = len(prompt["before_ids"]) + len(prompt["after_ids"]) + prompt["longest_title"]
    while around + sum(map(len, titles)) > prompt["max_length"]:
        del titles[0]
    return prompt["before_ids"] + sum(titles, []) + prompt["after_ids"]


follows = {}  # the tokens with which some title goes on, by its tokens so far
for ids in catalog["token_ids"]:
    for place, token in enumerate(ids):
        follows.setdefault(tuple(ids[:place]), set()).add(token)

history = prompt["example"]["titles"]
asked = torch.tensor([prompt_ids(history)])
start = asked.shape[1]
answer = model.generate(
    asked,
    attention_mask=torch.ones_like(asked),
    prefix_allowed_tokens_fn=lambda _, ids: list(follows.get(tuple(ids[start:].tolist()), [end])),
    renormalize_logits=RENORMALIZE,
    num_beams=10,
    num_return_sequences=10,
    length_penalty=0.0,
    do_sample=False,
    max_new_tokens=prompt["longest_title"],
    eos_token_id=end,
    pad_token_id=end,
    return_dict_in_generate=True,
    output_scores=True,
)
for ids, score in zip(answer.sequences[:, start:].tolist(), answer.sequences_scores.tolist()):
    title = title_of[tuple(ids[: ids.index(end) + 1])]
    if title not in history:
        print(f"{score:.2f} {title}")
```"""


def ask(run: Trained) -> str:
    """Python that searches titles by beams, with genrec's own scores."""
    over = run.manifest["settings"].get("normaliser", "catalog")
    return _ASK.replace("RENORMALIZE", str(over == "catalog"))


def load_in_peft(run: Trained) -> str:
    """Python that loads base model, adapter and tokenizer."""
    where = [json.dumps(run.base), "dtype=torch.bfloat16"]
    if run.source.revision is not None:
        where.insert(1, f"revision={json.dumps(run.source.revision)}")
    quantized = _QUANTIZED[run.settings.quantize]
    config = ", BitsAndBytesConfig" if quantized else ""
    if quantized:  # the adapter was trained on these weights
        where.append(f"quantization_config=BitsAndBytesConfig({quantized})")
    arguments = "".join(f"    {argument},\n" for argument in where)
    return f"""\
```python
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer{config}

tokenizer = AutoTokenizer.from_pretrained(".")
base = AutoModelForCausalLM.from_pretrained(
{arguments})
model = PeftModel.from_pretrained(base, ".").eval()
```"""


def load_in_transformers(kind: ModelFormat) -> str:
    """Python that loads whole weights and tokenizer."""
    dtype = "float16" if kind == "gguf-ready" else "bfloat16"
    return f"""\
```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".", dtype=torch.{dtype}).eval()
```"""


def serve(run: Trained, kind: ModelFormat, prompt: Mapping[str, Any]) -> str:
    """Commands for servers of language models."""
    if kind == "gguf-ready":
        return _llama_cpp(run, prompt)
    name = shlex.quote(run.name)
    command = f"vllm serve . --served-model-name {name}"
    if kind == "adapter":
        rank = next((rank for rank in _RANKS if rank >= run.settings.lora_rank), _RANKS[-1])
        revision = f" --revision {run.source.revision}" if run.source.revision else ""
        command = (
            f"vllm serve {shlex.quote(run.base)}{revision} \\\n"
            f"    --enable-lora --max-lora-rank {rank} --lora-modules {name}=."
        )
    question = {
        "model": run.name,
        "prompt": prompt["example"]["ids"],
        "temperature": 0,
        "max_tokens": prompt["longest_title"],
        "stop_token_ids": [prompt["end_of_title_id"]],
    }
    return f"""\
With vLLM, as its documentation has it; this was not tried by genrec's authors:

```
{command}
curl localhost:8000/v1/completions -H 'Content-Type: application/json' -d '{json.dumps(question)}'
```

Its answer need not be a title: see *Ask it*. vLLM's structured outputs take a list of choices."""


def _llama_cpp(run: Trained, prompt: Mapping[str, Any]) -> str:
    question = {
        "prompt": prompt["example"]["ids"],
        "temperature": 0,
        "n_predict": prompt["longest_title"],
        "stop": ["\n"],
    }
    file = shlex.quote(f"{run.name}.gguf")
    return f"""\
With llama.cpp, in a clone of it, where FOLDER is this folder:

```
python convert_hf_to_gguf.py FOLDER --outtype f16 --outfile {file}
llama-server -m {file}
curl localhost:8080/completion -H 'Content-Type: application/json' -d '{json.dumps(question)}'
```

The converter knows tokenizers by a digest. If it says "BPE pre-tokenizer was not recognized", it
does not know this base model's, and there is no GGUF file to be had. An answer need not be a
title: see *Ask it*."""
