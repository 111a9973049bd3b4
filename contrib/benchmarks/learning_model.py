"""A language model of a few million weights for the stockroom, from nothing: its words are those of its demonstrations.

Small enough that a GRPO run takes minutes on two cores, and large enough to look up, compare, order and answer. Digits
are tokens of their own, so that numbers can be copied and compared. It is told the names of the tools, not their
schemas: what they take, it learns from the warm start.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scribe_core.types import Task

WORDS = 1024
END, START = "<|im_end|>", "<|im_start|>"
_PIECE = r'<tool_call>\n\{"name": "|", "arguments": \{"|"?\}\}\n</tool_call>|\d| ?\p{L}+|[^\p{L}\d]+'
TEMPLATE = """\
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool.function.name }} {% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ '\n' if not loop.first else '' }}<tool_call>
{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def make(folder: Path, tasks: Sequence[Task], seed: int) -> int:
    """A folder that `policy.model` takes, with random weights; returns how many they are."""
    tokenizer = _tokenizer(tasks)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    module = LlamaForCausalLM(config)
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weights.numel() for weights in module.parameters())


def _tokenizer(tasks: Sequence[Task]) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.BPE())
    # Structure in pieces as long as they come, letters by the word, digits one by one.
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=[END, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(_texts(tasks), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=END, pad_token=END)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _texts(tasks: Sequence[Task]) -> Iterator[str]:
    for task in tasks:
        for message in (*task.messages, *task.demonstration):
            yield f"\n{message.role}\n{message.content}\n"
            for call in message.tool_calls:
                written = json.dumps({"name": call.name, "arguments": call.arguments})
                yield f"<tool_call>\n{written}\n</tool_call>"
