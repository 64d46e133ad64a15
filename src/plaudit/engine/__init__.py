"""Language models: load, tokenise, sample, score, differentiate. Transformers and PEFT come with the extra `language`."""
