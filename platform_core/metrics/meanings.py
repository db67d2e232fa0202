"""What the metrics of runners are called and what they mean; a metric that is not listed shows under its own name."""

from __future__ import annotations

from dataclasses import dataclass

from platform_core.errors import Text, text


@dataclass(frozen=True)
class Meaning:
    """A metric's title, the unit of its axis, and a sentence for those who do not know it."""

    title: Text
    hint: Text
    unit: str = ""


MEASURED = "eval_"
"""Begins the names of what is measured on validation rows."""
MEANINGS: dict[str, Meaning] = {
    "loss": Meaning(text("Loss"), text("What the training makes small: cross-entropy a token, or a policy loss.")),
    "grad_norm": Meaning(text("Gradient norm"), text("Length of the gradient before clipping; spikes mean trouble.")),
    "learning_rate": Meaning(text("Learning rate"), text("Step size of the optimizer at this step.")),
    "mean_token_accuracy": Meaning(
        text("Token accuracy"), text("Share of tokens that the model ranks first, teacher-forced.")
    ),
    "entropy": Meaning(
        text("Entropy"), text("How undecided the model is, in nats a token; near 0 it explores no more.")
    ),
    "reward": Meaning(text("Reward"), text("Mean reward of the sampled completions.")),
    "reward_std": Meaning(text("Reward spread"), text("Standard deviation of rewards within groups, averaged.")),
    "frac_reward_zero_std": Meaning(
        text("Groups without signal"),
        text("Share of groups whose completions all got the same reward."),
    ),
    "kl": Meaning(text("KL to the start model"), text("How far the policy has moved from its reference.")),
    "rewards/margins": Meaning(
        text("Margin"), text("How far the implied rewards of chosen and rejected answers lie apart; it should rise.")
    ),
    "rewards/accuracies": Meaning(
        text("Pairs preferred right"), text("Share of pairs whose chosen answer has the higher implied reward.")
    ),
    "rewards/chosen": Meaning(
        text("Reward of chosen"),
        text("Implied reward of chosen or good answers: β times how much likelier they became."),
    ),
    "rewards/rejected": Meaning(text("Reward of rejected"), text("Implied reward of rejected or bad answers.")),
    "logps/chosen": Meaning(text("Log-probability of chosen"), text("Mean log-probability of a whole chosen answer.")),
    "logps/rejected": Meaning(
        text("Log-probability of rejected"), text("Mean log-probability of a whole rejected answer.")
    ),
    "log_odds_ratio": Meaning(
        text("Log odds ratio"), text("Log of how sure the model is of the chosen answers; 0 is certain.")
    ),
    "nll_loss": Meaning(text("Cross-entropy of chosen"), text("The SFT part of the loss, a token.")),
    "accuracy": Meaning(text("Pairs ranked right"), text("Share of pairs whose chosen answer scores higher.")),
    "margin": Meaning(text("Score margin"), text("Mean score of chosen answers less that of rejected ones.")),
    "mean_reward": Meaning(text("Mean score"), text("Mean score of all answers of a batch.")),
    "value/loss": Meaning(
        text("Critic's loss"), text("Half the squared error of the critic's values against the returns.")
    ),
    "value/explained_variance": Meaning(
        text("Explained variance"),
        text("Share of the returns' variance that the critic foresees: 1 is perfect, below 0 it misleads."),
    ),
    "value/mean": Meaning(text("Critic's value"), text("Reward that the critic expects, the mean over tokens.")),
    "value/grad_norm": Meaning(text("Critic's gradient norm"), text("Before clipping; spikes mean trouble.")),
    "tracker/baseline": Meaning(
        text("Expected reward"), text("What the tracker expected of the prompts of this rollout: the baseline.")
    ),
    "tracker/abs_error": Meaning(
        text("Surprise"), text("Mean distance between a reward and what the tracker expected of its prompt.")
    ),
    "tracker/rho": Meaning(
        text("Memory kept"), text("What the past of the prompts was multiplied by when they came again.")
    ),
    "tracker/kl": Meaning(
        text("KL since the last visit"), text("How far the policy has moved since it last answered the same prompts.")
    ),
    "tracker/seen": Meaning(text("Prompts seen"), text("Share of the dataset's prompts that were answered so far.")),
    "clip_ratio/region_mean": Meaning(
        text("Clipped"), text("Share of tokens (GSPO and RLOO: of answers) whose update the clip range holds back.")
    ),
    "completions/mean_length": Meaning(text("Completion length"), text("Mean tokens of a completion."), "tokens"),
    "completions/clipped_ratio": Meaning(
        text("Cut completions"), text("Share of completions that reached the length limit.")
    ),
    "tokens_per_second": Meaning(text("Tokens per second"), text("Training throughput."), "tokens/s"),
    "samples_per_second": Meaning(text("Samples per second"), text("Rows that go through the model."), "1/s"),
    "step_time": Meaning(text("Step time"), text("Seconds an optimizer step takes."), "s"),
    "num_tokens": Meaning(text("Tokens seen"), text("Tokens that the training has read so far."), "tokens"),
    "epoch": Meaning(text("Epoch"), text("Passes over the dataset so far.")),
    "exact_match": Meaning(text("Exact match"), text("Share of greedy answers equal to the reference.")),
    "sampled_accuracy": Meaning(text("Sampled accuracy"), text("Share of sampled answers that are right.")),
    "greedy_reward": Meaning(text("Greedy reward"), text("Mean score of the greedy answers by the chosen reward.")),
    "sampled_reward": Meaning(text("Sampled reward"), text("Mean score of the sampled answers by the chosen reward.")),
    "not_scored": Meaning(text("Not scored"), text("Answers that the reward could not score; each counts as 0.")),
    "bytes_per_token": Meaning(text("Bytes per token"), text("Text that one token covers on average."), "bytes"),
    "vocab_size": Meaning(text("Vocabulary"), text("Number of tokens that the tokenizer knows."), "tokens"),
    "tokens": Meaning(text("Tokens"), text("Tokens of the whole corpus."), "tokens"),
    "parameters": Meaning(text("Parameters"), text("Numbers that the model consists of.")),
    "steps": Meaning(text("Steps"), text("Optimizer updates that were made.")),
    "identical": Meaning(text("Identical"), text("1 when every number of both runs is the same to the bit, else 0.")),
    "resumed_at": Meaning(text("Resumed at step"), text("Where the second run was paused and went on.")),
    "points": Meaning(text("Points compared"), text("Values of metrics and gradient norms, step by step.")),
    "tensors": Meaning(text("Tensors compared"), text("Weights, optimizer, schedule and random states.")),
    "difference": Meaning(text("First difference"), text("Where the two runs part.")),
    "n": Meaning(text("Questions"), text("Rows that were asked.")),
}


def title(metric: str) -> Text | str:
    """What a metric is called, to be said in any language."""
    if metric.startswith(MEASURED):
        return text("{metric}, validation", metric=title(metric.removeprefix(MEASURED)))
    meaning = MEANINGS.get(metric)
    return metric if meaning is None else meaning.title
