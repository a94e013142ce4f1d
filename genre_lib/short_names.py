"""Short names of the pretrained models that ``genre models download`` gets, and their repositories on the hub."""

SHORT_NAMES: dict[str, str] = {
    "ast": "MIT/ast-finetuned-audioset-10-10-0.4593",
    "distilhubert": "ntu-spml/distilhubert",
    "hubert": "facebook/hubert-base-ls960",
    "wav2vec2": "facebook/wav2vec2-base",
    "musicgen": "facebook/musicgen-small",
}
