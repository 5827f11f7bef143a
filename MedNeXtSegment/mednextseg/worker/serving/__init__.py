"""What serves requests in the worker process: the queue, the loop, what is kept between requests."""
