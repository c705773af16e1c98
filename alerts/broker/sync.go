package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncer makes what was written safe from the loss of power before a client hears of
// it. kfake can do so by itself, but in its one goroutine, for which all other
// clients wait, and it takes a disk's refusal for success.
type syncer struct {
	dir   string
	log   *slog.Logger
	fsync func(path string) error // of a file or a folder

	mu sync.Mutex
	// listed are files that their folders name on disk, too.
	listed map[string]bool
	// state is what the files of everything but records were at their last fsync.
	state map[string]os.FileInfo
	// refused are files that the disk did not take once.
	refused map[string]error
}

// unchanged tells whether a file is what it was. Files are replaced by others of the
// same size within one tick of the clock that stamps them.
func unchanged(was, is os.FileInfo) bool {
	return was != nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime())
}

func newSyncer(dir string, log *slog.Logger) *syncer {
	return &syncer{dir: dir, log: log, fsync: fsync, listed: make(map[string]bool), state: make(map[string]os.FileInfo), refused: make(map[string]error)}
}

func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// once syncs a file or a folder, and never again what the disk has refused: the system
// drops what it could not write, and the next fsync says that all is well. A start reads
// anew what there is.
func (s *syncer) once(path string) error {
	s.mu.Lock()
	err := s.refused[path]
	s.mu.Unlock()
	if err != nil {
		return err
	}
	err = s.fsync(path)
	var failed *fs.PathError
	if err != nil && !(errors.As(err, &failed) && failed.Op == "open") {
		s.mu.Lock()
		s.refused[path] = err
		s.mu.Unlock()
	}
	return err
}

// changesState are requests that change what is kept beside the records: topics,
// users, ACLs, commits, producers' ids.
var changesState = map[kmsg.Key]bool{
	kmsg.OffsetCommit: true, kmsg.OffsetDelete: true, kmsg.DeleteGroups: true,
	kmsg.InitProducerID: true, kmsg.AddPartitionsToTxn: true, kmsg.AddOffsetsToTxn: true, kmsg.TxnOffsetCommit: true, kmsg.EndTxn: true,
	kmsg.CreateTopics: true, kmsg.DeleteTopics: true, kmsg.CreatePartitions: true, kmsg.DeleteRecords: true,
	kmsg.AlterConfigs: true, kmsg.IncrementalAlterConfigs: true,
	kmsg.CreateACLs: true, kmsg.DeleteACLs: true, kmsg.AlterUserSCRAMCredentials: true, kmsg.AlterClientQuotas: true,
}

// produced makes the records of an answer to Produce safe. What could not be is
// answered as Kafka does when its disk fails, so that the client does not take it
// for stored. name gives the name of a topic by its id.
func (s *syncer) produced(a *kmsg.ProduceResponse, name func(id [16]byte) string) {
	for i := range a.Topics {
		t := &a.Topics[i]
		topic := t.Topic
		if topic == "" {
			topic = name(t.TopicID)
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.ErrorCode != 0 || p.BaseOffset < 0 {
				continue
			}
			err := errors.New("the topic is not known")
			if topic != "" {
				err = s.records(topic, p.Partition, p.BaseOffset)
			}
			if err != nil {
				s.log.Error("broker cannot sync records", "topic", topic, "partition", p.Partition, "err", err)
				why := "the disk does not take it: " + err.Error()
				p.ErrorCode, p.ErrorMessage, p.BaseOffset = kerr.KafkaStorageError.Code, &why, -1
			}
		}
	}
}

// records syncs the segment that holds an offset, and its index.
func (s *syncer) records(topic string, partition int32, offset int64) error {
	pdir := filepath.Join(s.dir, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(topic), partition))
	bases, err := segments(pdir)
	if err != nil {
		return err
	}
	base := int64(-1)
	for _, b := range bases {
		if b <= offset {
			base = b
		}
	}
	if base < 0 {
		return nil // retention has deleted it since
	}
	for _, kind := range []string{".dat", ".idx"} {
		path := filepath.Join(pdir, strconv.FormatInt(base, 10)+kind)
		if err := s.once(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// A file that its folder does not name after the loss of power is lost as well.
	s.mu.Lock()
	known := s.listed[filepath.Join(pdir, strconv.FormatInt(base, 10))]
	s.mu.Unlock()
	if known {
		return nil
	}
	for _, folder := range []string{pdir, filepath.Dir(pdir), s.dir} {
		if err := s.once(folder); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listed) > 10_000 { // retention deletes segments; asking anew costs little
		clear(s.listed)
	}
	s.listed[filepath.Join(pdir, strconv.FormatInt(base, 10))] = true
	return nil
}

// changed syncs everything but records that has changed since it was synced last.
func (s *syncer) changed() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	synced := make(map[string]os.FileInfo) // as they were before: what came after is synced again
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == lockFile {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is being replaced; its successor is found next time
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		same := unchanged(s.state[e.Name()], info)
		s.mu.Unlock()
		if same {
			continue
		}
		if err := s.once(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		synced[e.Name()] = info
	}
	if len(synced) == 0 {
		return nil
	}
	if err := s.once(s.dir); err != nil {
		return err
	}
	// Only now: nobody else may take a file for safe whose folder is not.
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.state, synced)
	return nil
}
