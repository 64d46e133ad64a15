"""Language models: scored, differentiated and sampled from without padding, on the parameters of a Transformers or PEFT model."""
