package objectstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Expiry is one rule of a bucket: the store itself deletes objects whose key begins with
// Prefix when they are Days old.
type Expiry struct {
	Prefix string
	Days   int32
}

// Expiries gives the rules of a bucket that delete objects by their age, sorted by
// prefix; none where the bucket has no rules, or the store knows of none.
func (c *Client) Expiries(ctx context.Context, bucket string) ([]Expiry, error) {
	const op = "GetBucketLifecycleConfiguration"
	answer, err := c.s3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &bucket})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NoSuchLifecycleConfiguration" {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(ctx, op, bucket, "", err)
	}
	var out []Expiry
	for _, r := range answer.Rules {
		if r.Status == types.ExpirationStatusEnabled && r.Filter != nil && r.Expiration != nil {
			out = append(out, Expiry{aws.ToString(r.Filter.Prefix), aws.ToInt32(r.Expiration.Days)})
		}
	}
	slices.SortFunc(out, func(a, b Expiry) int { return strings.Compare(a.Prefix, b.Prefix) })
	return out, nil
}

// SetExpiries gives a bucket these rules in the place of all that it has.
func (c *Client) SetExpiries(ctx context.Context, bucket string, rules []Expiry) error {
	if len(rules) == 0 {
		_, err := c.s3.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: &bucket})
		return wrap(ctx, "DeleteBucketLifecycle", bucket, "", err)
	}
	config := &types.BucketLifecycleConfiguration{}
	for i, r := range rules {
		config.Rules = append(config.Rules, types.LifecycleRule{
			ID: aws.String(fmt.Sprintf("expire-%d", i+1)), Status: types.ExpirationStatusEnabled,
			Filter: &types.LifecycleRuleFilter{Prefix: aws.String(r.Prefix)}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(r.Days)}})
	}
	_, err := c.s3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &bucket, LifecycleConfiguration: config})
	return wrap(ctx, "PutBucketLifecycleConfiguration", bucket, "", err)
}
